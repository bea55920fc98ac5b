'use strict';
/*
 * A gateway whose notifications are the CometD project's own server.
 *
 * Options: `cometd` goes to that server (timeout, interval, maxInterval, ... in milliseconds);
 * `ack` switches its acknowledge extension on; `refuse` denies every handshake.
 */
const cometd = require('cometd-nodejs-server');
const { AcknowledgedMessagesExtension } = require('cometd-nodejs-server/ack-extension');
const { httpSessionOf, serve } = require('./gateway');

serve((options) => {
  const server = cometd.createCometDServer({ sweepPeriod: 50, ...options.cometd });
  /** HTTP session -> the newest of its CometD sessions. */
  const owned = new Map();
  const alive = new Set();
  const removed = { expired: 0, disconnected: 0 };

  if (options.ack) server.addExtension(new AcknowledgedMessagesExtension());
  if (options.refuse) server.policy = { canHandshake: (_session, _message, done) => done(null, false) };
  server.addListener('sessionAdded', (session) => {
    owned.set(httpSessionOf(server.context.request), session);
    alive.add(session);
  });
  server.addListener('sessionRemoved', (session, expired) => {
    alive.delete(session);
    removed[expired ? 'expired' : 'disconnected'] += 1;
  });

  return {
    handle: (request, response) => server.handle(request, response),
    deliver: (owner, topic, data) => {
      const session = owned.get(owner);
      if (session && alive.has(session)) session.deliver(null, topic, data);
    },
    drop: () => [...alive].forEach((session) => session.disconnect()),
    account: () => ({ alive: alive.size, removed }),
  };
});
