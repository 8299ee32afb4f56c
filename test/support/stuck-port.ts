// A port that neither accepts nor refuses, as behind a firewall that drops packets.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { NODE } from "./gateway.ts";

/** A port on which nothing is ever accepted: its process is stopped and its queue is full. */
export class StuckPort {
  readonly #child: ChildProcess;
  readonly #filling: Socket[];
  readonly port: number;

  private constructor(child: ChildProcess, port: number, filling: Socket[]) {
    this.#child = child;
    this.port = port;
    this.#filling = filling;
  }

  static async open(): Promise<StuckPort> {
    const script =
      "const s = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port))";
    const child = spawn(NODE, ["-e", script], { stdio: ["ignore", "pipe", "ignore"] });
    const [line] = (await once(child.stdout ?? child, "data")) as [Buffer];
    child.kill("SIGSTOP");
    const port = Number(line.toString().trim());
    const filling = Array.from({ length: 4 }, () =>
      connect({ port, host: "127.0.0.1" }).on("error", () => undefined),
    );
    await sleep(50);
    return new StuckPort(child, port, filling);
  }

  close(): void {
    for (const socket of this.#filling) socket.destroy();
    this.#child.kill("SIGKILL");
  }
}
