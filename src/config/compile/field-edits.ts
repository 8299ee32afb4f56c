// Compiles `headers` of a route: fields that are set or removed, without touching what frames or identifies a message.

import type * as z from "zod";
import { foldName, isFieldName, isPlainFieldValue } from "../../core/fields.ts";
import { endsHere } from "../../upstream/field-rules.ts";
import type { headersOption } from "../../upstream/options.ts";
import type { FieldEdits } from "../gateway-config.ts";
import type { Field } from "../read.ts";
import type { Report } from "../report.ts";
import { keyAtOf, partOf } from "./entries.ts";

const NO_EDITS: FieldEdits = { set: [], remove: [] };
const MESSAGE_FRAMING = new Set(["content-length", "transfer-encoding", "host", "expect", "via"]);

type HeadersField = Field<z.output<typeof headersOption>>;

/** The edits of one direction. `reserved` are folded names that belong to the gateway. */
export function compileEdits(
  report: Report,
  field: HeadersField,
  direction: "request" | "response",
  reserved: ReadonlySet<string>,
): FieldEdits {
  const edits = field.value?.[direction];
  if (edits === undefined) return NO_EDITS;
  const seen = new Set<string>();
  const set = Object.entries(edits.set ?? {});
  const hidden = new Set<string>();
  for (const [name, value] of set) {
    const path = [...field.path, direction, "set", name];
    const fault = nameFault(name, reserved);
    const at = keyAtOf(field, direction, "set", name);
    if (fault !== undefined) report.add(at, path, "value_invalid", fault);
    else if (seen.has(name.toLowerCase()))
      report.add(at, path, "duplicate_value", "this field is listed twice");
    seen.add(name.toLowerCase());
    const { node } = partOf(field, direction, "set", name);
    if (node.kind === "scalar" && node.substituted !== undefined) hidden.add(name.toLowerCase());
    if (!isPlainFieldValue(value)) {
      report.add(node.at, path, "value_invalid", "expected visible ASCII without line breaks");
    }
  }
  for (const [index, name] of (edits.remove ?? []).entries()) {
    const fault = nameFault(name, reserved);
    const { node, path } = partOf(field, direction, "remove", index);
    if (fault !== undefined) report.add(node.at, path, "value_invalid", fault);
  }
  const remove = (edits.remove ?? []).map((name) => name.toLowerCase());
  return { set, remove, ...(hidden.size === 0 ? {} : { hidden }) };
}

function nameFault(name: string, reserved: ReadonlySet<string>): string | undefined {
  const lower = name.toLowerCase();
  if (!isFieldName(name)) return "expected a header field name";
  if (endsHere(lower) || MESSAGE_FRAMING.has(lower))
    return "this field belongs to the connection and can't be edited";
  return reserved.has(foldName(name))
    ? "this field carries the caller's identity and is set by the gateway alone"
    : undefined;
}
