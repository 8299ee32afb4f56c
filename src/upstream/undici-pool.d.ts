// undici's own entry also loads fetch, WebSocket, caches and mocks, which cost a fifth of the time to start.
declare module "undici/lib/dispatcher/pool.js" {
  import { Pool } from "undici";

  export default Pool;
}
