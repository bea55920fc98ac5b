'use strict';
/*
 * The few calls of a GWS that stand beside its notifications: the login and history questions.
 *
 * Knows HTTP sessions, CSRF tokens and reference ids. Does not know Bayeux: a channel is handed
 * in, which handles requests, delivers to the Bayeux session of one HTTP session, and drops all
 * Bayeux sessions. Below /control a test looks in and breaks things.
 *
 * What becomes of a question is said by the contact's id: `mute-...` is accepted and never
 * answered; `early-...` is answered before its HTTP reply; every third other one as well.
 */
const crypto = require('node:crypto');
const http = require('node:http');

const TOPIC = '/v2/ucs/interactions';
const NOTIFICATIONS = '/api/v2/notifications';
const HISTORY = /^\/api\/v2\/ucs\/contacts\/([^/]+)\/interactions$/;
const CSRF = 'X-CSRF-TOKEN-OF-PEER';
/** Milliseconds between a notification that overtakes and the HTTP reply that it overtakes. */
const HEAD_START = 8;

/** The HTTP session that a request names, known or not. */
function httpSessionOf(request) {
  const found = /(?:^|;\s*)JSESSIONID=([^;]+)/.exec(request.headers.cookie || '');
  return found && found[1];
}

function reply(response, status, body, headers = {}) {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

/** Hands `then` the body as text, without taking it from whoever else listens. */
function read(request, then) {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => then(Buffer.concat(chunks).toString('utf8')));
}

/** One to three records that no other question's answer holds. */
function records(contactId, question) {
  const count = contactId.length % 3;
  return Array.from({ length: count + 1 }, (_, n) => ({
    id: `${contactId}/${question.source}/${n}`,
    contactId,
    startDate: `${question.fromDate} 10:00:00.000+0000`,
  }));
}

class Gateway {
  constructor(options, channel) {
    this.options = options;
    this.channel = channel;
    /** HTTP session -> its CSRF token. */
    this.logins = new Map();
    /** HTTP session -> its last reference id; under '' the server's own. */
    this.counters = new Map();
    this.exchanges = [];
    this.asked = 0;
  }

  handle(request, response) {
    const path = new URL(request.url, 'http://peer').pathname;
    if (path.startsWith('/control/')) return this.control(path.slice(9), response);
    if (path === '/api/v2/me') return this.me(request, response);
    const refusal = this.refusal(request);
    if (refusal) return reply(response, ...refusal);
    if (path === NOTIFICATIONS) return this.notifications(request, response);
    const history = HISTORY.exec(path);
    if (!history) return reply(response, 404, { statusCode: 6 });
    return read(request, (body) => {
      this.ask(httpSessionOf(request), decodeURIComponent(history[1]), JSON.parse(body), response);
    });
  }

  me(request, response) {
    const credentials = Buffer.from('apiuser:pässword', 'utf8').toString('base64');
    if (request.headers.authorization !== `Basic ${credentials}`) {
      return reply(response, 200, { statusCode: 20, statusMessage: 'not authenticated' });
    }
    const headers = {};
    let id = httpSessionOf(request);
    if (!this.logins.has(id)) {
      id = crypto.randomBytes(12).toString('hex');
      this.logins.set(id, crypto.randomBytes(12).toString('hex'));
      headers['Set-Cookie'] = `JSESSIONID=${id}; Path=/; HttpOnly`;
    }
    if (this.options.csrf) {
      headers['X-CSRF-HEADER'] = CSRF;
      headers['X-CSRF-TOKEN'] = this.logins.get(id);
    }
    return reply(response, 200, { statusCode: 0 }, headers);
  }

  /** Status and body for a POST without a session, or without its token. */
  refusal(request) {
    const token = this.logins.get(httpSessionOf(request));
    if (token === undefined) return [401, { statusCode: 20 }];
    if (this.options.csrf && request.headers[CSRF.toLowerCase()] !== token) {
      return [403, { statusMessage: 'Missing or invalid Csrf token' }];
    }
    return null;
  }

  notifications(request, response) {
    const exchange = { start: performance.now(), end: null, messages: [] };
    this.exchanges.push(exchange);
    read(request, (body) => {
      exchange.messages = JSON.parse(body).map(({ channel, ext }) => ({ channel, ext }));
    });
    response.on('close', () => {
      exchange.end = performance.now();
    });
    this.channel.handle(request, response);
  }

  ask(owner, contactId, question, response) {
    const scope = this.options.sharedIds ? '' : owner;
    const referenceId = (this.counters.get(scope) || 0) + 1;
    this.counters.set(scope, referenceId);
    this.asked += 1;
    const accept = () => reply(response, 200, { statusCode: 0, referenceId });
    const answer = () => this.channel.deliver(owner, TOPIC, {
      referenceId,
      messageType: 'GetInteractionsHistoryMessage',
      interactions: records(contactId, question),
    });
    if (contactId.startsWith('mute-')) return accept();
    if (contactId.startsWith('early-') || referenceId % 3 === 0) {
      answer();
      return setTimeout(accept, HEAD_START);
    }
    accept();
    return setTimeout(answer, referenceId % 5);
  }

  control(what, response) {
    if (what === 'drop-channels') this.channel.drop();
    if (what === 'drop-logins') this.logins.clear();
    const { asked, exchanges } = this;
    reply(response, 200, { asked, exchanges, now: performance.now(), ...this.channel.account() });
  }
}

/**
 * Serves on a free port of the loopback, says where in one line of JSON, and ends when stdin
 * closes. `open` makes the channel from the options, which are the first argument, as JSON.
 */
function serve(open) {
  const options = JSON.parse(process.argv[2] || '{}');
  const gateway = new Gateway(options, open(options));
  const server = http.createServer((request, response) => gateway.handle(request, response));
  server.listen(0, '127.0.0.1', () => {
    console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` }));
  });
  process.stdin.on('end', () => process.exit(0));
  process.stdin.resume();
}

module.exports = { httpSessionOf, serve };
