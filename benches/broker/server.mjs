// The baseline: Express and jose issue the same visa, without signature check, account or ledger. Prints its port.
import express from 'express'
import { SignJWT, generateKeyPair } from 'jose'

const { privateKey } = await generateKeyPair('ES256')
const app = express()
app.disable('x-powered-by')
app.use(express.json({ limit: 4096 }))
app.post('/issue-visa', async (request, response) => {
  const { publisher, amount } = request.body
  if (typeof publisher !== 'string' || !(amount > 0)) return response.status(400).json({ error: 'Bad Request' })
  const token = await new SignJWT({ payment_status: 'paid', amount, ver: '1.1' })
    .setProtectedHeader({ alg: 'ES256', kid: '1' })
    .setIssuedAt().setIssuer('https://your-broker-domain.com').setAudience(publisher).setExpirationTime('1h')
    .sign(privateKey)
  response.json({ token, header_name: 'x-imagxp-credential' })
})
const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port))
