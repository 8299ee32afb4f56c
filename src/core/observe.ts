// The checks of a route that may be observed: decided, logged and counted, but not enforced.

/** In the order in which they are made. `ips`: client addresses; `auth`: credentials and the failed-credential throttle. */
export const OBSERVE_PARTS = ["ips", "auth", "scopes", "roles", "require", "limit"] as const;

export type ObservePart = (typeof OBSERVE_PARTS)[number];
