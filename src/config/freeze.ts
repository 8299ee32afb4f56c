// Makes a compiled configuration immutable, so that no request can change what the next one is judged by.

/** Freezes `value` and all that hangs on it. Maps lose their mutators; bytes of secrets can't be frozen by the language. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value))
    return value;
  if (value instanceof Map) {
    for (const member of value.values()) deepFreeze(member);
    for (const mutator of ["set", "delete", "clear"]) {
      Object.defineProperty(value, mutator, { value: refuse });
    }
  }
  for (const member of Object.values(value)) deepFreeze(member);
  return Object.freeze(value);
}

function refuse(): never {
  throw new TypeError("a loaded configuration can't be changed");
}
