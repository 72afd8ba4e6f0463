// What the running broker issues, verified by jose with createRemoteJWKSet: before, during and after a key rotation.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { calculateJwkThumbprint, createRemoteJWKSet, decodeProtectedHeader, exportJWK, exportPKCS8, generateKeyPair, importSPKI, jwtVerify } from 'jose'
import { changed, check, file, report } from './peer.mjs'

const keyFile = async (name) => {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return file(name, await exportPKCS8(privateKey))
}
const [one, two] = [await keyFile('one.pem'), await keyFile('two.pem')]
const folder = dirname(one)

/** The agent: its manifest is served here, its key is in its environment. */
const agentServer = createServer((request, response) => {
  response.setHeader('content-type', 'application/json')
  response.end(manifest)
})
await new Promise((done) => agentServer.listen(0, '127.0.0.1', done))
const agentId = `localhost:${agentServer.address().port}`
const agentKey = await keyFile('agent.pem')

/** Runs `imagxp` without blocking: the broker asks this process for the manifest meanwhile. */
function run(args, env = {}) {
  return new Promise((done) => {
    const child = spawn(process.env.IMAGXP, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    let [out, err] = ['', '']
    child.stdout.on('data', (data) => { out += data })
    child.stderr.on('data', (data) => { err += data })
    child.on('close', (code) => done({ code, out: out.trim(), err }))
  })
}
const manifest = (await run(['manifest', '--agent-id', agentId, '--key', agentKey, '--dev'])).out

const config = (keys) => file('broker.toml', `listen = "127.0.0.1:0"\njwks_max_age_s = 1\ndatabase = "${join(folder, 'broker.sqlite')}"\n${keys}`)
const first = '[[keys]]\nkid = "one"\nfile = "one.pem"\n'
const broker = spawn(process.env.IMAGXP, ['broker', '--dev', '--config', config(first)], {
  env: { IMAGXP_BROKER_ADMIN_TOKEN: '0123456789abcdef0123456789abcdef' }, stdio: ['ignore', 'pipe', 'ignore'],
})
const url = await new Promise((done, fail) => {
  let said = ''
  broker.stdout.on('data', (data) => {
    said += data
    const running = /Broker running on (\S+)/.exec(said)
    if (running) done(running[1])
  })
  broker.on('exit', () => fail(new Error('the broker ended')))
})
const admin = { IMAGXP_BROKER_ADMIN_TOKEN: '0123456789abcdef0123456789abcdef' }
const buy = async () => {
  const { code, out, err } = await run(['visa', 'buy', '--dev', '--broker', url, '--publisher', 'nytimes.com', '--amount', '0.001', '--agent-id', agentId, '--key', agentKey])
  assert.equal(code, 0, err)
  return out
}

// jose's own waiting time between two fetches is 30 s.
const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', url), { cooldownDuration: 500 })
const accepts = async (token, kid) => {
  assert.equal(decodeProtectedHeader(token).kid, kid)
  const { payload } = await jwtVerify(token, keys, { issuer: url, audience: 'nytimes.com', subject: agentId, algorithms: ['ES256'], requiredClaims: ['exp', 'iat', 'jti', 'cnf'] })
  assert.deepEqual([payload.amount, payload.payment_status, payload.ver], [0.001, 'paid', '1.1'])
  return payload
}

try {
  await check('no money, no visa', async () => {
    const { code, err } = await run(['visa', 'buy', '--dev', '--broker', url, '--publisher', 'nytimes.com', '--amount', '0.001', '--agent-id', agentId, '--key', agentKey])
    assert.equal(code, 1)
    assert.match(err, /402 Payment Required/)
  })
  await check('the operator credits the agent', async () => {
    const { code, out, err } = await run(['broker', 'credit', agentId, '1', '--broker', url, '--json'], admin)
    assert.equal(code, 0, err)
    assert.equal(JSON.parse(out).balance, '1')
  })
  let old
  await check('before the rotation', async () => {
    old = await buy()
    const payload = await accepts(old, 'one')
    const jwk = await exportJWK(await importSPKI(`-----BEGIN PUBLIC KEY-----\n${JSON.parse(manifest).public_key}\n-----END PUBLIC KEY-----`, 'ES256', { extractable: true }))
    assert.equal(payload.cnf.jkt, await calculateJwkThumbprint(jwk))
  })
  await check('changed tokens are refused', async () => {
    for (const token of changed(old)) await assert.rejects(jwtVerify(token, keys, { issuer: url }))
  })
  const from = new Date(Date.now() + 3000)
  config(`${first}[[keys]]\nkid = "two"\nfile = "two.pem"\nsign_from = "${from.toISOString()}"\n`)
  broker.kill('SIGHUP')
  await check('while the next key is published and the old one signs', async () => {
    for (let tries = 0; ; tries += 1) {
      const set = await (await fetch(new URL('/.well-known/jwks.json', url))).json()
      if (set.keys.length === 2) break
      assert.ok(tries < 40, 'the next key is not published')
      await sleep(50)
    }
    await accepts(await buy(), 'one')
    await accepts(old, 'one')
  })
  await check('after it: the new visas and the old', async () => {
    await sleep(from - Date.now() + 200)
    await accepts(await buy(), 'two')
    await accepts(old, 'one')
  })
  await check('settlement', async () => {
    const { code, out, err } = await run(['broker', 'settle', '--broker', url], admin)
    assert.equal(code, 0, err)
    assert.match(out, /nytimes\.com +3 +0\.003 /)
  })
} finally {
  broker.kill('SIGTERM')
  agentServer.close()
}
report()
