// An OpenAPI document as far as a gateway has a part in it: which requests there are, what guards them, who serves them.

/** One way to be let in: every one of these schemes, with these scopes (or roles). Empty: nothing is needed. */
export type Alternative = readonly SchemeUse[];

export interface SchemeUse {
  readonly scheme: string;
  /** As listed in the document. */
  readonly needs: readonly string[];
}

/** Any one alternative is enough; none at all is public. Undefined: the document doesn't say. */
export type Security = readonly Alternative[] | undefined;

/** What can prove who calls. */
export type Scheme =
  | {
      readonly kind: "token";
      /** Exact or guessed `iss` of the tokens; undefined when the document doesn't tell. */
      readonly issuer: string | undefined;
      /** Metadata document, where it isn't at the usual place below the issuer. */
      readonly discovery: string | undefined;
      /** How the issuer is known, for a comment. */
      readonly source: string;
      /** Whether the entries of a requirement are scopes; else they are roles. */
      readonly scoped: boolean;
    }
  | { readonly kind: "apiKey"; readonly header: string; readonly scoped: boolean }
  /** Nothing that this gateway can check. */
  | { readonly kind: "other"; readonly why: string };

/** Where an operation is served, by the document. */
export interface Server {
  /** Such as https://api.example.com; undefined when the URL is relative or can't be used. */
  readonly origin: string | undefined;
  /** Path that stands before those of the document, without a last slash; empty for none. */
  readonly basePath: string;
  /** As written, without user name, password, query and fragment. */
  readonly text: string;
}

export interface Operation {
  /** Upper case. */
  readonly method: string;
  /** Path template as written. */
  readonly path: string;
  /** Line in the document, from 1. */
  readonly line: number;
  readonly id: string | undefined;
  readonly summary: string | undefined;
  readonly deprecated: boolean;
  readonly callbacks: boolean;
  readonly security: Security;
  /** In the order of the document; never empty. */
  readonly servers: readonly Server[];
}

/** Something of the document that has no place in a gateway.yaml, or that needs a look. */
export interface Remark {
  readonly what: string;
  readonly why: string;
  /** Line in the document, from 1. */
  readonly line: number;
}

export interface ApiDocument {
  /** Path of the file as given. */
  readonly file: string;
  readonly title: string;
  /** Such as "OpenAPI 3.1.0" or "Swagger 2.0". */
  readonly dialect: string;
  /** Number of path templates. */
  readonly paths: number;
  readonly operations: readonly Operation[];
  readonly schemes: ReadonlyMap<string, Scheme>;
  readonly servers: readonly Server[];
  readonly webhooks: readonly { readonly name: string; readonly line: number }[];
  /** Fields of path items that are no operations. */
  readonly remarks: readonly Remark[];
}
