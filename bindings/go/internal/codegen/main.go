// Command codegen writes codes.go from the enum of imagxp.h: `go generate` runs it.
package main

import (
	"bytes"
	"fmt"
	"go/format"
	"log"
	"os"
	"regexp"
	"strings"
)

// A comment of one line or more, and the refusal that it explains.
var entry = regexp.MustCompile(`(?s)/\*\s*((?:[^*]|\*[^/])*?)\s*\*/\s*IMAGXP_([A-Z0-9_]+) = (-\d+)`)

// Words that Go writes in capitals.
var initialisms = map[string]string{"ABI": "ABI", "HTTP": "HTTP", "ID": "ID", "JSON": "JSON", "JWK": "JWK", "JWKS": "JWKS",
	"JWT": "JWT", "UTF8": "UTF8"}

func main() {
	header, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	text, err := generate(string(header))
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[2], text, 0o644); err != nil {
		log.Fatal(err)
	}
}

func generate(header string) ([]byte, error) {
	enum := header[strings.Index(header, "enum imagxp_code {"):]
	enum = enum[:strings.Index(enum, "};")]
	var out bytes.Buffer
	fmt.Fprintf(&out, "// Code generated from imagxp.h by internal/codegen. DO NOT EDIT.\n\npackage imagxp\n\n// Every refusal, with its HTTP status, and what an honest user should mend.\nconst (\n")
	for _, found := range entry.FindAllStringSubmatch(enum, -1) {
		comment := strings.TrimPrefix(strings.Join(strings.Fields(strings.ReplaceAll(found[1], "\n     * ", "\n")), " "), "* ")
		fmt.Fprintf(&out, "\t// %s\n\tErr%s Code = %s\n", comment, goName(found[2]), found[3])
	}
	fmt.Fprint(&out, ")\n")
	return format.Source(out.Bytes())
}

func goName(name string) string {
	var words []string
	for _, word := range strings.Split(name, "_") {
		if capital, ok := initialisms[word]; ok {
			words = append(words, capital)
		} else {
			words = append(words, word[:1]+strings.ToLower(word[1:]))
		}
	}
	return strings.Join(words, "")
}
