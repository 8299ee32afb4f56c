// What explanations show of what a client sent: never a value that may be a secret.

/** Stands for a value that isn't shown. */
export const MASK = "…";

const SENSITIVE =
  /auth|cookie|token|secret|passw|pwd|api[-_.]?key|(?:^|[-_.])key(?:$|[-_.])|credential|session|signature|(?:^|[-_.])sig(?:$|[-_.])|jwt|assertion|^code$|nonce/i;
// Keys of the gateway's own form, and tokens in compact form, wherever they stand.
const SECRETS = /gwk_(?:live|test)_[\w%]+|\beyJ[\w-]{8,}(?:\.[\w-]*)*/g;

/** Whether the value of a field or parameter called so may be a secret. */
export function isSensitiveName(name: string): boolean {
  return SENSITIVE.test(name);
}

/** `text` with everything that reads like a token or a key blanked. */
export function maskSecrets(text: string): string {
  return text.replace(SECRETS, MASK);
}

/** A request target, or its query alone, with the values of parameters that may be secrets blanked. */
export function maskTarget(target: string): string {
  const question = target.indexOf("?");
  if (question === -1) return maskSecrets(target);
  const parameters = target.slice(question + 1).split("&");
  const shown = parameters.map((parameter) => {
    const equals = parameter.indexOf("=");
    if (equals === -1) return maskSecrets(parameter);
    const name = parameter.slice(0, equals);
    return isSensitiveName(decoded(name)) ? `${name}=${MASK}` : maskSecrets(parameter);
  });
  return `${maskSecrets(target.slice(0, question))}?${shown.join("&")}`;
}

/** A name may be written with escapes, which don't make it harmless. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
