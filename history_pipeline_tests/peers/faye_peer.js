'use strict';
/*
 * A gateway whose notifications are faye.
 *
 * Faye has no delivery to one session: every answer goes to all that subscribed. So each client
 * sees the others' answers too, and the reference ids must count through all HTTP sessions
 * (option `sharedIds`). Option `timeout` is in seconds, as faye counts.
 */
const faye = require('faye');
const { serve } = require('./gateway');

serve((options) => {
  const adapter = new faye.NodeAdapter({
    mount: '/api/v2/notifications',
    timeout: options.timeout || 30,
  });
  /** The ids of those that came over HTTP: the first handshake is the publisher's own. */
  const alive = new Set();
  adapter.once('handshake', () => adapter.on('handshake', (clientId) => alive.add(clientId)));
  adapter.on('disconnect', (clientId) => alive.delete(clientId));
  const publisher = adapter.getClient();
  publisher.connect();

  return {
    handle: (request, response) => adapter.handle(request, response),
    deliver: (_owner, topic, data) => publisher.publish(topic, data),
    // what faye's engine does with a client that stopped connecting
    drop: () => alive.forEach((clientId) => adapter._server._engine.destroyClient(clientId)),
    account: () => ({ alive: alive.size }),
  };
});
