// What an njs user writes to verify an ES256 token: header, claims, signature by WebCrypto. njs 0.7 begins each request
// with a new virtual machine, so the key is imported each time; there is no way to keep it.
const SPKI = 'PUBLIC_KEY';
const BODY = 'x'.repeat(200);

async function check(r) {
    const token = (r.headersIn.Authorization || '').slice(7);
    const parts = token.split('.');
    if (parts.length !== 3) return r.return(401);
    const header = JSON.parse(Buffer.from(parts[0], 'base64url'));
    const claims = JSON.parse(Buffer.from(parts[1], 'base64url'));
    const now = Date.now() / 1000;
    if (header.alg !== 'ES256' || claims.iss !== 'ISSUER' || claims.aud !== 'pub.example.com' || !(claims.exp > now)) return r.return(403);
    const key = await crypto.subtle.importKey('spki', Buffer.from(SPKI, 'base64'), { name: 'ECDSA', namedCurve: 'P-256' }, false, ['verify']);
    const good = await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, Buffer.from(parts[2], 'base64url'),
                                            Buffer.from(parts[0] + '.' + parts[1]));
    r.return(good ? 200 : 403, good ? BODY : '');
}

export default { check };
