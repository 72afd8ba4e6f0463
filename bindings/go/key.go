package imagxp

import (
	"crypto/rand"
	"runtime"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// Key is a private P-256 key. Printing it shows nothing of it, and its memory is wiped when nobody holds it any more. Use a
// key for this protocol only.
type Key struct {
	words *abi.Key
}

// GenerateKey makes a new key.
func GenerateKey() (*Key, error) {
	var random [32]byte
	defer abi.Wipe(random[:])
	for {
		rand.Read(random[:]) // never fails since Go 1.24
		key, status := newKey(func(words *abi.Key) int32 { return abi.KeyFromRandom(&random, words) })
		if Code(status) != ErrPrivkeyInvalid { // once in 2^32
			return key, asError(status)
		}
	}
}

// ParseKey reads a private key: the base64 of PKCS#8 as in IMAGXP_PRIVATE_KEY, PEM (PRIVATE KEY, EC PRIVATE KEY), a JWK with
// "d", or 64 hex digits. ErrPrivkeyInvalid if it is none of them.
func ParseKey(text string) (*Key, error) {
	key, status := newKey(func(words *abi.Key) int32 { return abi.KeyFromText(text, words) })
	return key, asError(status)
}

func newKey(read func(*abi.Key) int32) (*Key, int32) {
	words := new(abi.Key)
	if status := read(words); status != abi.OK {
		words.Wipe()
		return nil, status
	}
	key := &Key{words}
	runtime.AddCleanup(key, (*abi.Key).Wipe, words)
	return key, abi.OK
}

// String says that it is a key, and which: its kid.
func (k *Key) String() string { return "imagxp.Key(" + k.KeyID() + ")" }

// GoString is String, so that %#v shows no more.
func (k *Key) GoString() string { return k.String() }

// KeyID is the key's RFC 7638 thumbprint: its kid.
func (k *Key) KeyID() string { return k.public(abi.FormatKID) }

// PublicKey is the public key as headers and manifests have it: the base64 of SPKI, 124 characters.
func (k *Key) PublicKey() string { return k.public(abi.FormatText) }

// PublicPEM is the public key in PEM.
func (k *Key) PublicPEM() string { return k.public(abi.FormatPEM) }

// PublicJWK is the public key as a JWK.
func (k *Key) PublicJWK() string { return k.public(abi.FormatJWK) }

func (k *Key) public(format int32) string {
	defer runtime.KeepAlive(k)
	text, _ := k.words.Public(format) // cannot fail: the formats are this file's, and the buffer fits all
	return string(text)
}

// Export is the private key as ParseKey reads it, and as IMAGXP_PRIVATE_KEY has it. Wipe the bytes when they have served.
func (k *Key) Export() ([]byte, error) { return k.export(abi.FormatText) }

// ExportPEM is the private key in PEM.
func (k *Key) ExportPEM() ([]byte, error) { return k.export(abi.FormatPEM) }

func (k *Key) export(format int32) ([]byte, error) {
	defer runtime.KeepAlive(k)
	text, status := k.words.Export(format)
	return text, asError(status)
}
