// How claims are named in a file: `roles`, `realm_access.roles`, `/resource_access/my.app/roles`.

/**
 * The claim names from the outside in. A name with `://` is one claim, since namespaced claims are URLs that hold dots
 * and slashes. Undefined when a part is empty.
 */
export function parseClaimPath(text: string): readonly string[] | undefined {
  if (text === "" || text.length > 256) return undefined;
  if (text.includes("://")) return [text];
  const parts = text.startsWith("/")
    ? text
        .slice(1)
        .split("/")
        .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    : text.split(".");
  return parts.includes("") || parts.length > 10 ? undefined : parts;
}

/** What a claim has to look like, for messages. */
export const CLAIM_HINT = "expected a claim: a name, `outer.inner`, or a JSON pointer such as `/outer/inner`";
