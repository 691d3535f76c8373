/** TCP ports by what listens there. Defaults of the variables name them; nothing else repeats a number. */
export const ports = {
  /** The gate: Fleet API and enrolment, TLS. */
  fleet: 9092,
  /** The operator API. */
  control: 9093,
  /** The SuperLink's own HTTP server on loopback (Flower's `--port` default). */
  superlink: 8000,
  /** The SuperNode's Runtime API on loopback (Flower's `--port` default of flower-supernode). */
  supernodeRuntime: 9094,
  /** gRPC Fleet API on loopback, Flower before 1.40. */
  superlinkGrpcFleet: 9091,
} as const;
