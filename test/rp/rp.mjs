// A relying party on openid-client, for tests: it signs a person in by the authorization code flow
// with PKCE, state and nonce, and then uses what it got. It plays the browser's part nowhere: the
// test that runs it does.
//
// It speaks JSON, one object a line.
//
//   in   {"issuer": "http://…", "client_id": "…", "redirect_uri": "…",
//         "client_secret": "…",                       none for a public client
//         "auth": "basic" | "post" | "private_key_jwt" | "none",   default: basic with a secret, else none
//         "private_jwk": {…}, "alg": "ES256",         for private_key_jwt
//         "scope": "openid offline_access",           default
//         "parameters": {"prompt": "login", …},       more for the authorization request
//         "max_age": 300,                             sent, and auth_time is checked against it
//         "id_token_alg": "RS256",                    default
//         "post_logout_redirect_uri": "…"}
//   out  {"step": "authorize", "url": "…"}            the test sends a browser there
//   in   {"callback": "http://…?code=…&state=…&iss=…"}   and says where it came back
//   out  {"step": "tokens", "claims": {…}, "scope": "…", "token_type": "…", "expires_in": 300,
//         "access_token": "…", "refresh_token": "…", "id_token": "…"}
//   out  {"step": "userinfo", "claims": {…}}
//   out  {"step": "refresh", …as tokens}              if there was a refresh token
//   out  {"step": "introspect", "answer": {…}}        of the access token, unless the client is public
//   out  {"step": "revoke"}                           the refresh token, or the access token
//   out  {"step": "introspect-revoked", "answer": {…}}
//   out  {"step": "logout", "url": "…"}               if the provider has an end_session_endpoint
//   out  {"step": "done"}
//
// What the provider does not offer is left out. At the first thing that is wrong it writes
//   out  {"step": "error", "at": "tokens", "message": "…", "code": "…", "error": "…", "description": "…"}
// and ends with status 1. Tests with a certificate of their own set NODE_EXTRA_CA_CERTS.

import { webcrypto } from 'node:crypto'
import { createInterface } from 'node:readline'

globalThis.crypto ??= webcrypto // Node 18 has it, but not by this name
const client = await import('openid-client')

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

async function read() {
  const { value, done } = await lines.next()
  if (done) throw new Error('end of input')
  return JSON.parse(value)
}

function write(step, more = {}) {
  process.stdout.write(JSON.stringify({ step, ...more }) + '\n')
}

let at = 'configure'

async function authentication(c) {
  switch (c.auth ?? (c.client_secret ? 'basic' : 'none')) {
    case 'basic':
      return client.ClientSecretBasic(c.client_secret)
    case 'post':
      return client.ClientSecretPost(c.client_secret)
    case 'none':
      return client.None()
    case 'private_key_jwt': {
      const { importJWK } = await import('jose')
      return client.PrivateKeyJwt({ key: await importJWK(c.private_jwk, c.alg), kid: c.private_jwk.kid })
    }
    default:
      throw new Error(`unknown auth ${c.auth}`)
  }
}

function told(tokens) {
  const { access_token, refresh_token, id_token, token_type, scope, expires_in } = tokens
  return { claims: tokens.claims(), access_token, refresh_token, id_token, token_type, scope, expires_in }
}

async function main() {
  const c = await read()
  const isPublic = !c.client_secret && !c.private_jwk

  at = 'discovery'
  const issuer = new URL(c.issuer)
  const extensions = [client.enableNonRepudiationChecks] // the ID token's signature too, not TLS alone
  if (issuer.protocol === 'http:') extensions.push(client.allowInsecureRequests)
  const metadata = { id_token_signed_response_alg: c.id_token_alg ?? 'RS256' }
  const config = await client.discovery(issuer, c.client_id, metadata, await authentication(c), { execute: extensions })
  const server = config.serverMetadata()

  at = 'authorize'
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expectedState = client.randomState()
  const expectedNonce = client.randomNonce()
  const parameters = {
    ...c.parameters,
    redirect_uri: c.redirect_uri,
    scope: c.scope ?? 'openid offline_access',
    state: expectedState,
    nonce: expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  }
  if (c.max_age !== undefined) parameters.max_age = String(c.max_age)
  write('authorize', { url: client.buildAuthorizationUrl(config, parameters).href })

  at = 'tokens'
  const { callback } = await read()
  const checks = { pkceCodeVerifier, expectedState, expectedNonce, maxAge: c.max_age, idTokenExpected: true }
  let tokens = await client.authorizationCodeGrant(config, new URL(callback), checks)
  write('tokens', told(tokens))
  const { sub } = tokens.claims()
  const idToken = tokens.id_token

  at = 'userinfo'
  if (server.userinfo_endpoint) {
    write('userinfo', { claims: await client.fetchUserInfo(config, tokens.access_token, sub) })
  }

  at = 'refresh'
  if (tokens.refresh_token) {
    const { refresh_token } = tokens
    tokens = await client.refreshTokenGrant(config, refresh_token)
    tokens.refresh_token ??= refresh_token // a client that is set not to rotate
    write('refresh', told(tokens))
  }

  at = 'introspect'
  const introspects = server.introspection_endpoint && !isPublic
  if (introspects) {
    write('introspect', { answer: await client.tokenIntrospection(config, tokens.access_token) })
  }

  at = 'revoke'
  if (server.revocation_endpoint) {
    await client.tokenRevocation(config, tokens.refresh_token ?? tokens.access_token)
    write('revoke')
  }
  if (server.revocation_endpoint && introspects) {
    write('introspect-revoked', { answer: await client.tokenIntrospection(config, tokens.access_token) })
  }

  at = 'logout'
  if (server.end_session_endpoint) {
    const back = c.post_logout_redirect_uri ? { post_logout_redirect_uri: c.post_logout_redirect_uri } : {}
    write('logout', { url: client.buildEndSessionUrl(config, { id_token_hint: idToken, ...back }).href })
  }
  write('done')
}

try {
  await main()
  process.exit(0)
} catch (err) {
  const cause = err.cause instanceof Error ? `: ${err.cause.message}` : ''
  write('error', {
    at,
    message: err.message + cause,
    code: err.code,
    error: err.error,
    description: err.error_description,
  })
  process.exit(1)
}
