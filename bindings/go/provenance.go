package imagxp

import (
	"net/http"
	"runtime"
	"time"

	"github.com/imagxp/imagxp/bindings/go/internal/abi"
)

// ContentOrigin is where the content of a response comes from.
type ContentOrigin int32

// The origins.
const (
	HumanContent ContentOrigin = 1 + iota
	SyntheticContent
	HybridContent
)

// String is the origin as the wire has it.
func (o ContentOrigin) String() string { return name(int32(o), "", "HUMAN", "SYNTHETIC", "HYBRID") }

// Headers of provenance.
const (
	HeaderContentOrigin = "x-imagxp-content-origin"
	HeaderProvenanceSig = "x-imagxp-provenance-sig"
	HeaderProvenanceTS  = "x-imagxp-provenance-ts"
)

// How old and how new a provenance may be.
const (
	provenanceWindow = 5 * time.Minute
	provenanceSkew   = time.Minute
)

// SignProvenance puts into a response's headers where its content comes from, signed by the publisher's key.
func (k *Key) SignProvenance(header http.Header, origin ContentOrigin) error {
	defer runtime.KeepAlive(k)
	signed, status := k.words.SignProvenance(int32(origin), hedge(), time.Now().UnixMilli())
	if status != abi.OK {
		return Code(status)
	}
	header.Set(HeaderContentOrigin, signed.Origin)
	header.Set(HeaderProvenanceSig, signed.Signature)
	header.Set(HeaderProvenanceTS, signed.TS)
	return nil
}

// VerifyProvenance verifies what the headers of a response, just received, say of its content, by the publisher's public key.
func VerifyProvenance(header http.Header, publicKey string) (ContentOrigin, error) {
	said := abi.Provenance{Origin: header.Get(HeaderContentOrigin), Signature: header.Get(HeaderProvenanceSig), TS: header.Get(HeaderProvenanceTS)}
	origin, _, status := abi.VerifyProvenance(publicKey, &said, time.Now().UnixMilli(), uint32(provenanceWindow.Milliseconds()),
		uint32(provenanceSkew.Milliseconds()))
	return ContentOrigin(origin), asError(status)
}
