// Metrics of what passes through the gateway: requests, decisions, upstreams. What was never seen has no series.

import type { Family, Sample } from "./exposition.ts";
import type { MetricsSource } from "./metrics-source.ts";
import type { RouteTraffic } from "./traffic.ts";

/** The families of requests, decisions and upstreams. */
export function trafficFamilies({ traffic, open }: Pick<MetricsSource, "traffic" | "open">): Family[] {
  return [
    {
      name: "gateway_requests_total",
      help: "Requests that are over, and WebSockets that were opened",
      type: "counter",
      samples: () => each(traffic.routes(), requestSamples),
    },
    {
      name: "gateway_request_duration_seconds",
      help: "From the arrival of a request to the last byte of its answer",
      type: "histogram",
      histograms: function* () {
        for (const { name, durations } of traffic.routes())
          if (durations !== undefined) yield [{ route: name }, durations];
      },
    },
    {
      name: "gateway_decisions_total",
      help: "Decisions on requests",
      type: "counter",
      samples: () => each(traffic.routes(), decisionSamples),
    },
    {
      name: "gateway_observed_refusals_total",
      help: "Refusals that are observed only, so that the request passed",
      type: "counter",
      samples: () =>
        each(traffic.routes(), function* ({ name, observed }) {
          for (const [code, count] of observed) yield [{ route: name, code }, count];
        }),
    },
    {
      name: "gateway_decision_duration_seconds",
      help: "From the arrival of a request to handing it to its upstream",
      type: "histogram",
      histograms: () => [[{}, traffic.decisions]],
    },
    gauge(
      "gateway_requests_in_flight",
      "Requests that are not answered to the last byte",
      () => open().requests,
    ),
    gauge("gateway_connections", "Open connections of clients", () => open().connections),
    gauge("gateway_websocket_tunnels", "Open WebSockets", () => open().tunnels),
    {
      name: "gateway_upstream_requests_total",
      help: "Requests that were handed to an upstream's transport",
      type: "counter",
      samples: () =>
        each(traffic.upstreams(), function* ({ name, requests }) {
          yield [{ upstream: name }, requests];
        }),
    },
    {
      name: "gateway_upstream_failures_total",
      help: "Requests that an upstream did not answer, or not to the end",
      type: "counter",
      samples: () =>
        each(traffic.upstreams(), function* ({ name, failures }) {
          for (const [reason, count] of failures) yield [{ upstream: name, reason }, count];
        }),
    },
    {
      name: "gateway_upstream_request_duration_seconds",
      help: "From handing a request to an upstream's transport to the header section of its answer",
      type: "histogram",
      histograms: function* () {
        for (const { name, requests, answers } of traffic.upstreams())
          if (requests > 0) yield [{ upstream: name }, answers];
      },
    },
  ];
}

function gauge(name: string, help: string, read: () => number): Family {
  return { name, help, type: "gauge", samples: () => [[{}, read()]] };
}

function* each<T>(all: Iterable<T>, samplesOf: (one: T) => Iterable<Sample>): Generator<Sample> {
  for (const one of all) yield* samplesOf(one);
}

function* requestSamples({ name, requests }: RouteTraffic): Generator<Sample> {
  for (const { method, status, count } of requests) yield [{ route: name, method, status }, count];
}

function* decisionSamples({ name, forwarded, preflights, refusals }: RouteTraffic): Generator<Sample> {
  if (forwarded > 0) yield [{ route: name, decision: "forward", code: "" }, forwarded];
  if (preflights > 0) yield [{ route: name, decision: "preflight", code: "" }, preflights];
  for (const [code, count] of refusals) yield [{ route: name, decision: "refuse", code }, count];
}
