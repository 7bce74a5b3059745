/**
 * Many open connections on which nothing happens. Each carried one message and
 * its reply before. The harness looks on from outside: see `observeProcess`.
 */

/**
 * @typedef {import('../transports/index.mjs').Endpoint} Endpoint
 */

const MESSAGE_BYTES = 64;

/** @param {readonly Endpoint[]} endpoints */
export function server(endpoints) {
  for (const endpoint of endpoints) endpoint.onData((chunk) => endpoint.send(chunk));
  return async () => {};
}

/** @param {readonly Endpoint[]} endpoints */
export function client(endpoints) {
  return async () => {
    await Promise.all(
      endpoints.map(
        (endpoint) =>
          new Promise((resolve, reject) => {
            endpoint.onError(reject);
            endpoint.onData(resolve);
            endpoint.send(Buffer.alloc(MESSAGE_BYTES, 1));
          }),
      ),
    );
  };
}
