// Code generated from imagxp.h by internal/codegen. DO NOT EDIT.

package imagxp

// Every refusal, with its HTTP status, and what an honest user should mend.
const (
	// 500: a pointer is NULL though its length is not 0
	ErrABINull Code = -101
	// 500: a length is larger than any object can be
	ErrABILength Code = -102
	// 500: an output overlaps an input or another output: give each its own memory
	ErrABIOverlap Code = -103
	// 500: the memory is too small or not 8-byte aligned: ask the `*_words` function for its size
	ErrABIStorage Code = -104
	// 500: the memory does not hold what the call expects, or it is damaged: make it anew with `*_new` or `policy_parse`
	ErrABIState Code = -105
	// 500: the struct's size field is unknown to this library: use IMAGXP_INIT and the header of this version
	ErrABIVersion Code = -106
	// 500: an argument is not one of the numbers or flags that the call knows
	ErrABIArgument Code = -107
	// 500: the output buffer is too small: the call's documentation gives its bound
	ErrBufferTooSmall Code = -108
	// 500: `now` is not a time after 1970: set the clock before verifying
	ErrClockUnknown Code = -109
	// 500: the policy is not valid: an unknown member, a wrong type, or a value outside its bounds
	ErrPolicyInvalid Code = -110
	// 500: the private key is not a P-256 key in PKCS#8, SEC1 or JWK form, or its public part does not match
	ErrPrivkeyInvalid Code = -111
	// 500: the signature just made does not verify: the hardware or the memory is faulty; nothing was sent
	ErrSignFault Code = -112
	// 500: the address is not one that a verifier may connect to: it is private, local or reserved
	ErrHostForbidden Code = -113
	// 431: the IMAGXP headers together exceed 12,288 bytes
	ErrHeadersTooLarge Code = -201
	// 400: an IMAGXP header appears twice: send each once
	ErrHeaderDuplicate Code = -202
	// 400: an IMAGXP header holds a byte outside 0x21..0x7E: send printable ASCII without spaces
	ErrHeaderBytes Code = -203
	// 401: some IMAGXP headers are there but not all: send x-imagxp-payload, x-imagxp-signature and x-imagxp-public-key together
	ErrHeadersPartial Code = -204
	// 400: a header and its alias, or an informational header and the payload, disagree
	ErrHeadersContradict Code = -205
	// 401: this site admits verified agents only: sign the request
	ErrIdentityRequired Code = -206
	// 431: x-imagxp-payload exceeds 4,096 characters
	ErrPayloadTooLarge Code = -207
	// 400: x-imagxp-payload is not strict padded standard base64
	ErrBase64Invalid Code = -208
	// 400: not lower-case hexadecimal of even length
	ErrHexInvalid Code = -209
	// 400: not strict unpadded base64url
	ErrBase64urlInvalid Code = -210
	// 400: x-imagxp-signature is not exactly 128 lower-case hex digits (r || s)
	ErrSignatureFormat Code = -211
	// 400: the public key is not the base64 of an uncompressed P-256 SPKI: 124 characters beginning MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE (samples that begin MFKw are a misprint)
	ErrKeyFormat Code = -212
	// 431: a token exceeds 4,096 characters
	ErrJWTTooLarge Code = -213
	// 400: the feedback is not a valid signed object of at most 2,048 characters
	ErrFeedbackInvalid Code = -214
	// 400: the JSON is not UTF-8 without BOM: do not encode it as Latin-1 (btoa); escape non-ASCII as \uXXXX
	ErrJSONUTF8 Code = -215
	// 400: the JSON does not follow RFC 8259, or it is not one object
	ErrJSONSyntax Code = -216
	// 400: the JSON nests deeper than 4 levels
	ErrJSONDepth Code = -217
	// 400: the JSON has more than 32 members in an object, 16 in an array, or 64 values in all
	ErrJSONTooManyMembers Code = -218
	// 400: a JSON member name exceeds 64 bytes
	ErrJSONKeyTooLong Code = -219
	// 400: a JSON member name appears twice in one object
	ErrJSONDuplicateKey Code = -220
	// 400: a JSON string exceeds 2,048 bytes
	ErrJSONStringTooLong Code = -221
	// 400: a JSON string holds half a surrogate pair
	ErrJSONLoneSurrogate Code = -222
	// 400: a JSON number overflows a double or exceeds 64 characters
	ErrJSONNumberRange Code = -223
	// 400: a required payload member is missing: v, ts, nonce, agent_id, resource, purpose
	ErrFieldMissing Code = -224
	// 400: a payload member has the wrong JSON type: all are strings, context is an object, ads_displayed a boolean
	ErrFieldType Code = -225
	// 400: the payload's v is not "1.1"
	ErrVersionUnsupported Code = -226
	// 400: purpose is none of CRAWL_TRAINING RAG_RETRIEVAL SUMMARY QUOTATION EMBEDDING
	ErrPurposeUnknown Code = -227
	// 400: agent_id is not a public domain name in lower case, without port, scheme or trailing dot
	ErrAgentIDInvalid Code = -228
	// 400: nonce is not 22 to 64 characters of A-Z a-z 0-9 _ -: send a UUIDv4
	ErrNonceInvalid Code = -229
	// 400: ts is not an RFC 3339 UTC time such as 2026-01-26T12:00:00.000Z
	ErrTimestampInvalid Code = -230
	// 400: resource is not an absolute URL of at most 2,048 bytes without userinfo, backslash, control bytes or dot segments
	ErrResourceInvalid Code = -231
	// 403: ts is older than the window: sign each request anew and check the clock
	ErrTimestampStale Code = -301
	// 403: ts is further in the future than the skew allows: check the clock
	ErrTimestampFuture Code = -302
	// 403: the signed resource is not the URL that was requested
	ErrResourceMismatch Code = -303
	// 403: the public key is not a point on P-256
	ErrKeyInvalid Code = -304
	// 403: the signature does not verify over the canonical payload with the key that was sent
	ErrSignatureInvalid Code = -305
	// 403: this nonce was used before: send a fresh nonce with every request
	ErrReplayDetected Code = -306
	// 503: the request was signed before this verifier began to remember nonces (`accept_from` of the replay cache): sign it anew
	ErrRestartGuard Code = -307
	// 503: the replay cache is full: retry later; operators: enlarge it (`imagxp size --rate`)
	ErrReplayCacheFull Code = -308
	// 429: the replay cache is nearly full and this agent has used its share: slow down
	ErrAgentQuota Code = -309
	// 503: the shared replay store did not answer: retry later
	ErrReplayStoreDown Code = -310
	// 503: too many verifications are under way: retry later
	ErrBusy Code = -311
	// 403: the key that was sent is not one that the agent's manifest publishes
	ErrKeyMismatch Code = -401
	// 403: the agent's manifest has revoked the key that was sent
	ErrKeyRevoked Code = -402
	// 403: the agent's manifest exceeds 8,192 bytes
	ErrManifestTooLarge Code = -403
	// 403: the agent's manifest is not a valid JSON document with agent_id and public_key
	ErrManifestInvalid Code = -404
	// 403: the manifest's agent_id is not the name it was fetched from
	ErrManifestMismatch Code = -405
	// 403: the agent's manifest could not be fetched: serve https://{agent_id}/.well-known/imagxp-agent.json with status 200 and application/json, without redirects
	ErrManifestUnavailable Code = -406
	// 503: the agent's manifest is being fetched: retry in two seconds
	ErrIdentityPending Code = -407
	// 403: the agent's identity could not be verified (the public code of every identity failure)
	ErrIdentityUnverified Code = -408
	// 403: the policy of this site does not admit this purpose
	ErrPurposeRefused Code = -501
	// 403: no IMAGXP headers, and the request does not look like a browser's: sign it
	ErrVisitorRefused Code = -502
	// 402: this site wants payment: buy a visa from its broker and send it in x-imagxp-credential
	ErrVisaRequired Code = -503
	// 402: the visa's payment_status is not "paid"
	ErrVisaUnpaid Code = -504
	// 402: the visa's amount is not a decimal above 0 with at most six places, or it is below the price
	ErrVisaAmount Code = -505
	// 403: the visa is bound to another agent or key, or it is unbound where binding is required
	ErrVisaBinding Code = -506
	// 403: the visa was used before and is good for one request: buy a new one
	ErrVisaUsed Code = -507
	// 403: the token is not a compact JWS of three base64url parts with a 64-byte signature
	ErrJWTFormat Code = -508
	// 403: the token's header is not acceptable: typ JWT or imagxp-visa+jwt; no crit, b64, zip, jwk, jku, x5u, x5c
	ErrJWTHeader Code = -509
	// 403: the token's alg is not ES256
	ErrJWTAlg Code = -510
	// 403: the issuer's key set has no usable key with the token's kid
	ErrJWTKeyUnknown Code = -511
	// 403: the token's iss is not a configured issuer
	ErrJWTIssuer Code = -512
	// 403: the token's aud does not name this publisher
	ErrJWTAudience Code = -513
	// 403: the token has expired
	ErrJWTExpired Code = -514
	// 403: the token's iat or nbf is in the future
	ErrJWTNotYet Code = -515
	// 403: the token's exp is more than 3,600 s after its iat
	ErrJWTLifetime Code = -516
	// 403: a claim of the token is missing, of the wrong type, or out of range
	ErrJWTClaims Code = -517
	// 403: the token's sub is not the agent that signed the request
	ErrJWTSubject Code = -518
	// 503: the issuer's key set cannot be had at the moment: retry later, the payment is not lost
	ErrJWKSUnavailable Code = -519
	// 503: the issuer's key set exceeds 65,536 bytes
	ErrJWKSTooLarge Code = -520
	// 503: the issuer's key set is not a JSON object with 1 to 32 keys of at most 16 KiB each, one of them usable
	ErrJWKSInvalid Code = -521
	// 503: two usable keys of the issuer's key set have the same kid
	ErrJWKSDuplicateKid Code = -522
	// 503: the issuer's key set publishes a private key: that key is skipped; its owner must replace it
	ErrJWKPrivateExposed Code = -523
)
