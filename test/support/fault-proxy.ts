// A TCP proxy that can be switched at run time to delay, cut, reset, dribble, swallow or refuse.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** How the proxy treats bytes and connections from now on. */
export type Fault =
  | { readonly kind: "none" }
  /** Every chunk, both ways, is held for `ms`. */
  | { readonly kind: "delay"; readonly ms: number }
  /** After `bytes` answered bytes the connection ends with FIN or a reset. */
  | { readonly kind: "cut"; readonly bytes: number; readonly how: "fin" | "reset" }
  /** Answers travel one byte per `ms`. */
  | { readonly kind: "dribble"; readonly ms: number }
  /** Connections are accepted and nothing ever travels. */
  | { readonly kind: "blackhole" }
  /** Connections are reset as soon as they are accepted. */
  | { readonly kind: "reset" }
  /** The port is closed. */
  | { readonly kind: "refuse" };

/** A running fault proxy. */
export class FaultProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #target: { readonly host: string; readonly port: number };
  #fault: Fault = { kind: "none" };
  /** Port that it listens on; stays the same across `refuse`. */
  port = 0;
  /** Connections accepted so far. */
  accepted = 0;

  constructor(target: { host?: string; port: number }) {
    this.#target = { host: target.host ?? "127.0.0.1", port: target.port };
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  }

  /** Starts listening on a free port. */
  async start(): Promise<this> {
    await this.#listen();
    this.port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  async #listen(): Promise<void> {
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** Switches the fault; `existing: "drop"` also resets the connections that stand. */
  async set(fault: Fault, existing: "keep" | "drop" = "keep"): Promise<void> {
    const wasRefusing = this.#fault.kind === "refuse";
    this.#fault = fault;
    if (existing === "drop" || fault.kind === "refuse") this.#dropAll();
    if (fault.kind === "refuse" && !wasRefusing) {
      this.#server.close();
      await once(this.#server, "close");
    } else if (fault.kind !== "refuse" && wasRefusing) await this.#listen();
  }

  #dropAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#sockets.clear();
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
  }

  #accept(client: Socket): void {
    this.accepted++;
    this.#track(client);
    if (this.#fault.kind === "reset") {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ ...this.#target, allowHalfOpen: true });
    this.#track(upstream);
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
    client.on("data", (chunk: Buffer) => this.#forward(chunk, upstream));
    client.on("end", () => upstream.end());
    let answered = 0;
    upstream.on("data", (chunk: Buffer) => {
      answered = this.#answer(chunk, client, answered);
    });
    upstream.on("end", () => client.end());
  }

  #forward(chunk: Buffer, upstream: Socket): void {
    if (this.#fault.kind === "blackhole") return;
    if (this.#fault.kind === "delay") setTimeout(() => upstream.write(chunk), this.#fault.ms);
    else upstream.write(chunk);
  }

  #answer(chunk: Buffer, client: Socket, answered: number): number {
    const fault = this.#fault;
    if (fault.kind === "blackhole") return answered;
    if (fault.kind === "delay") setTimeout(() => client.write(chunk), fault.ms);
    else if (fault.kind === "dribble") dribble(chunk, client, fault.ms);
    else if (fault.kind === "cut" && answered + chunk.length >= fault.bytes) {
      client.write(chunk.subarray(0, Math.max(0, fault.bytes - answered)), () => {
        if (fault.how === "fin") client.end();
        else client.resetAndDestroy();
      });
    } else client.write(chunk);
    return answered + chunk.length;
  }

  /** Ends every connection and stops listening. */
  async stop(): Promise<void> {
    this.#dropAll();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, "close");
  }
}

function dribble(chunk: Buffer, client: Socket, ms: number): void {
  let at = 0;
  const timer = setInterval(() => {
    if (at >= chunk.length || client.destroyed) clearInterval(timer);
    else client.write(chunk.subarray(at, ++at));
  }, ms);
  client.on("close", () => clearInterval(timer));
}

/** Starts a fault proxy in front of `target`. */
export function startFaultProxy(target: { host?: string; port: number }): Promise<FaultProxy> {
  return new FaultProxy(target).start();
}
