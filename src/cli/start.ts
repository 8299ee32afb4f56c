// `gatewarden start`: production. Everything it says goes to the log as JSON lines.

import { serve } from "./serve.ts";

export function start(options: { readonly config: string }): Promise<number> {
  return serve(options.config);
}
