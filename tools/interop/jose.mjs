// Visas and key sets made with jose as the introduction's broker makes them verify with `imagxp`, and the other way round.
import assert from 'node:assert/strict'
import {
  SignJWT, UnsecuredJWT, calculateJwkThumbprint, compactVerify, createLocalJWKSet, exportJWK, exportPKCS8, exportSPKI,
  generateKeyPair, jwtVerify,
} from 'jose'
import { changed, check, file, imagxp, report } from './peer.mjs'

const issuer = 'https://your-broker-domain.com'
const audience = 'nytimes.com'
const es256 = () => generateKeyPair('ES256', { extractable: true })
const { publicKey, privateKey } = await es256()
const other = await es256()
const agent = await es256()

// Exactly the introduction's broker.
const PAID = { payment_status: 'paid', amount: 0.001, ver: '1.1' }
const visa = (claims = PAID, header = { alg: 'ES256', kid: '1' }) =>
  new SignJWT(claims).setProtectedHeader(header).setIssuedAt().setIssuer(issuer).setAudience(audience)
const jwk = await exportJWK(publicKey)
assert.equal(jwk.alg, undefined)
const set = (...keys) => JSON.stringify({ keys })
const theirs = file('theirs.json', set({ ...jwk, kid: '1' }))

function verdict(token, jwks = theirs, ...more) {
  const { out, err } = imagxp('visa', 'verify', token, '--issuer', issuer, '--audience', audience, '--jwks', jwks, '--json', ...more)
  assert.ok(out, err)
  return JSON.parse(out)
}
const admits = (token, ...more) => assert.equal(verdict(token, ...more).code, 'OK')
const refuses = (code, token, ...more) => assert.match(verdict(token, ...more).code, code)

const good = await visa().setExpirationTime('1h').sign(privateKey)
await check('the introduction\'s visa', () => {
  const report = verdict(good)
  assert.deepEqual([report.code, report.amount, report.issuer, report.bound], ['OK', '0.001', issuer, false])
})
await check('key set with use, several keys', async () => {
  const foreign = await exportJWK(other.publicKey)
  const rsa = await exportJWK((await generateKeyPair('RS256', { extractable: true })).publicKey)
  const p384 = await exportJWK((await generateKeyPair('ES384', { extractable: true })).publicKey)
  const many = set({ ...rsa, kid: '1' }, { ...p384, kid: '1' }, { ...foreign, kid: '2' }, { ...jwk, kid: '1', use: 'sig' })
  admits(good, file('many.json', many))
})
await check('audiences', async () => {
  for (const aud of [`https://${audience}`, [audience], ['example.org', audience]]) {
    admits(await visa().setAudience(aud).setExpirationTime('1h').sign(privateKey))
  }
})
await check('amounts', async () => {
  for (const [amount, text] of [[1, '1'], [0.000001, '0.000001'], [12.5, '12.5'], [1e6, '1000000']]) {
    const token = await visa({ payment_status: 'paid', amount }).setExpirationTime('1h').sign(privateKey)
    assert.equal(verdict(token).amount, text)
  }
})
await check('bound to an agent', async () => {
  const jkt = await calculateJwkThumbprint(await exportJWK(agent.publicKey))
  const claims = { payment_status: 'paid', amount: 0.001, ver: '1.1', cnf: { jkt }, jti: 'v-1' }
  const token = await visa(claims).setSubject('bot.example.com').setExpirationTime('1h').sign(privateKey)
  const holder = async (key) => ['--agent-id', 'bot.example.com', '--agent-key', file('holder.pem', await exportSPKI(key))]
  assert.equal(verdict(token, theirs, ...await holder(agent.publicKey)).bound, true)
  refuses(/^VISA_BINDING$/, token, theirs, ...await holder(other.publicKey))
})
for (const [at, token] of changed(good).entries()) {
  await check(`changed byte in part ${at}`, () => refuses(/^(SIGNATURE_INVALID|JWT_\w+)$/, token))
}
await check('another key', async () => {
  refuses(/^SIGNATURE_INVALID$/, good, file('swapped.json', set({ ...await exportJWK(other.publicKey), kid: '1' })))
  refuses(/^JWT_KEY_UNKNOWN$/, good, file('renamed.json', set({ ...jwk, kid: '2' })))
})
await check('wrong audience', async () => {
  refuses(/^JWT_AUDIENCE$/, await visa().setAudience('nytimes.org').setExpirationTime('1h').sign(privateKey))
})
await check('expired', async () => {
  refuses(/^JWT_EXPIRED$/, await visa().setIssuedAt('-2h').setExpirationTime('-1h').sign(privateKey))
})
await check('too long', async () => {
  refuses(/^JWT_LIFETIME$/, await visa().setExpirationTime('2h').sign(privateKey))
})
await check('no exp', async () => refuses(/^JWT_CLAIMS$/, await visa().sign(privateKey)))
await check('not yet', async () => {
  refuses(/^JWT_NOT_YET$/, await visa().setNotBefore('10m').setExpirationTime('1h').sign(privateKey))
})
await check('unpaid', async () => {
  refuses(/^VISA_UNPAID$/, await visa({ payment_status: 'open', amount: 1 }).setExpirationTime('1h').sign(privateKey))
})
await check('foreign issuer', async () => {
  refuses(/^JWT_ISSUER$/, await visa().setIssuer('https://evil.example').setExpirationTime('1h').sign(privateKey))
})
await check('other algorithms', async () => {
  const claims = { payment_status: 'paid', amount: 1 }
  const none = new UnsecuredJWT(claims).setIssuer(issuer).setAudience(audience).setIssuedAt().setExpirationTime('1h').encode()
  refuses(/^JWT_(ALG|FORMAT)$/, none)
  const hmac = visa(PAID, { alg: 'HS256', kid: '1' }).setExpirationTime('1h')
  refuses(/^JWT_(ALG|FORMAT)$/, await hmac.sign(new TextEncoder().encode('secret-secret-secret-secret-secret')))
})
await check('header with jwk', async () => {
  refuses(/^JWT_HEADER$/, await visa(PAID, { alg: 'ES256', kid: '1', jwk }).setExpirationTime('1h').sign(privateKey))
})

// The other way: issued here, verified there.
const brokerKey = file('broker.pem', await exportPKCS8(privateKey))
const agentKey = file('agent.pem', await exportSPKI(agent.publicKey))
const publicFile = file('broker.pub', await exportSPKI(publicKey))
const ours = JSON.parse(imagxp('jwks', 'write', `1=${publicFile}`, `2=${file('other.pub', await exportSPKI(other.publicKey))}`).out)
const keys = createLocalJWKSet(ours)
const issue = (...more) => {
  const { out, err } = imagxp('visa', 'issue', '--issuer', issuer, '--audience', audience, '--amount', '0.001', '--kid', '1', '--key', brokerKey, ...more)
  assert.ok(out, err)
  return out
}
const bound = ['--agent-id', 'bot.example.com', '--agent-key', agentKey]
const wanted = { issuer, audience, algorithms: ['ES256'], typ: 'imagxp-visa+jwt', requiredClaims: ['exp', 'iat', 'jti'], maxTokenAge: '1h' }
const token = issue(...bound)
const fails = (code, token, set = keys, options = {}) => assert.rejects(jwtVerify(token, set, { ...wanted, ...options }), { code })

await check('our visa with jwtVerify', async () => {
  const { payload, protectedHeader } = await jwtVerify(token, keys, wanted)
  assert.deepEqual(protectedHeader, { alg: 'ES256', kid: '1', typ: 'imagxp-visa+jwt' })
  assert.deepEqual([payload.payment_status, payload.amount, payload.ver, payload.sub], ['paid', 0.001, '1.1', 'bot.example.com'])
  assert.equal(payload.exp - payload.iat, 3600)
  assert.equal(payload.cnf.jkt, await calculateJwkThumbprint(await exportJWK(agent.publicKey)))
})
await check('our bearer visa', () => jwtVerify(issue('--bearer'), keys, wanted))
await check('our key set is theirs', () => {
  assert.deepEqual(ours.keys[0], { crv: 'P-256', kty: 'EC', x: jwk.x, y: jwk.y, kid: '1', use: 'sig', alg: 'ES256' })
})
for (const [at, broken] of changed(token).entries()) {
  await check(`our visa, changed byte in part ${at}`, () => assert.rejects(jwtVerify(broken, keys, wanted)))
}
await check('our visa, wrong audience', () => fails('ERR_JWT_CLAIM_VALIDATION_FAILED', token, keys, { audience: 'nytimes.org' }))
await check('our visa, expired', () => fails('ERR_JWT_EXPIRED', token, keys, { currentDate: new Date(Date.now() + 3_700_000) }))
await check('our visa, expired when issued', () => fails('ERR_JWT_EXPIRED', issue('--bearer', '--now', '2026-01-26T12:00:00Z')))
await check('our visa, foreign issuer', () => fails('ERR_JWT_CLAIM_VALIDATION_FAILED', token, keys, { issuer: 'https://evil.example' }))
await check('our visa, another key', () => {
  const swapped = { keys: [{ ...ours.keys[1], kid: '1' }] }
  return fails('ERR_JWS_SIGNATURE_VERIFICATION_FAILED', token, createLocalJWKSet(swapped))
})
await check('our feedback with compactVerify', async () => {
  const secret = file('agent.key', await exportPKCS8(agent.privateKey))
  const { out, err } = imagxp('feedback', 'sign', '--url', 'https://nytimes.com/a', '--score', '0.2', '--reason', 'SEO_SPAM',
    '--audience', issuer, '--agent-id', 'bot.example.com', '--key', secret, '--visa', token)
  assert.ok(out, err)
  const { payload, protectedHeader } = await compactVerify(out, agent.publicKey)
  const claims = JSON.parse(new TextDecoder().decode(payload))
  assert.equal(protectedHeader.typ, 'imagxp-feedback+jwt')
  assert.deepEqual([claims.quality_score, claims.reason, claims.iss], [0.2, 'SEO_SPAM', 'bot.example.com'])
  await assert.rejects(compactVerify(out, other.publicKey))
})
report()
