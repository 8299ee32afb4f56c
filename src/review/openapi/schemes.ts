// Reads security schemes: which of them the gateway can check, and what is known of the issuer of their tokens.

import { NOT_FOR_KEYS } from "../../config/compile/api-keys.ts";
import { entryOf, type TreeNode } from "../../config/tree.ts";
import { isFieldName } from "../../core/fields.ts";
import type { Scheme } from "./model.ts";
import { textOf } from "./values.ts";

const WELL_KNOWN = /\/\.well-known\/(?:openid-configuration|oauth-authorization-server)\/?$/;
const FLOWS = ["authorizationCode", "clientCredentials", "password", "implicit", "deviceAuthorization"];

/** The scheme that `node` describes; undefined when it describes none. */
export function readScheme(node: TreeNode, dialect: string): Scheme | undefined {
  const text = (key: string): string | undefined => textOf(entryOf(node, key)?.value);
  // Since 3.1 what a requirement lists for schemes other than OAuth are roles; before, it had no meaning but was used.
  const scoped = !/^OpenAPI 3\.[12]/.test(dialect);
  switch (text("type")) {
    case "apiKey":
      return keyScheme(text("in"), text("name"), scoped);
    case "http":
      return httpScheme(text("scheme")?.toLowerCase(), scoped);
    case "basic":
      return other("HTTP basic authentication is not supported");
    case "oauth2": {
      const metadata = text("oauth2MetadataUrl");
      return metadata === undefined ? { ...guessed(endpointOf(node)), scoped: true } : discovered(metadata);
    }
    case "openIdConnect":
      return discovered(text("openIdConnectUrl") ?? "");
    case "mutualTLS":
      return other("client certificates are not supported yet");
    case undefined:
      return undefined;
    default:
      return other("this type of security scheme is not known");
  }
}

function other(why: string): Scheme {
  return { kind: "other", why };
}

function keyScheme(place: string | undefined, name: string | undefined, scoped: boolean): Scheme {
  if (place !== "header")
    return other(`API keys are taken from header fields only, not from a ${place ?? "?"}`);
  if (name === undefined || !isFieldName(name)) return other("the name is no header field name");
  if (NOT_FOR_KEYS.has(name.toLowerCase()))
    return other(
      `${name} has a meaning of its own (keys as \`Authorization: Bearer gwk_…\` are taken on all routes)`,
    );
  return { kind: "apiKey", header: name, scoped };
}

function httpScheme(scheme: string | undefined, scoped: boolean): Scheme {
  if (scheme !== "bearer") return other(`HTTP ${scheme ?? "?"} authentication is not supported`);
  return { ...guessed(undefined), scoped };
}

type TokenScheme = Extract<Scheme, { readonly kind: "token" }>;

/** By the address of a metadata document. */
function discovered(url: string): TokenScheme {
  if (!isSafe(url)) return { ...guessed(undefined), scoped: true };
  const issuer = url.replace(WELL_KNOWN, "");
  const usual = url.endsWith("/.well-known/openid-configuration");
  return {
    kind: "token",
    issuer: issuer === url ? new URL(url).origin : issuer,
    discovery: usual ? undefined : url,
    source: "from the address of its metadata; compare with `iss` in a token, to the last slash",
    scoped: true,
  };
}

/** By the address of an endpoint: a guess, and no more. */
function guessed(endpoint: string | undefined): Omit<TokenScheme, "scoped"> {
  const known = endpoint !== undefined && isSafe(endpoint);
  return {
    kind: "token",
    issuer: known ? `${new URL(endpoint).origin}/` : undefined,
    discovery: undefined,
    source: known
      ? "guessed from the token endpoint; compare with `iss` in a token, to the last slash"
      : "the document doesn't tell who issues the tokens; nobody can with this placeholder",
  };
}

function endpointOf(node: TreeNode): string | undefined {
  const flows = entryOf(node, "flows")?.value;
  const all = [...FLOWS.map((name) => entryOf(flows, name)?.value), node];
  const find = (key: string): string | undefined =>
    all.map((flow) => textOf(entryOf(flow, key)?.value)).find((url) => url !== undefined && isSafe(url));
  return find("tokenUrl") ?? find("authorizationUrl");
}

/** Whether keys could be fetched from there: https, or this machine. */
function isSafe(text: string): boolean {
  if (text.length > 2000 || !URL.canParse(text) || /[\s${}\\#]/.test(text)) return false;
  const { protocol, hostname, username, password, search } = new URL(text);
  const here = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);
  return (protocol === "https:" || (protocol === "http:" && here)) && username + password + search === "";
}
