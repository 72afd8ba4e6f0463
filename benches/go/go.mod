module github.com/imagxp/imagxp/benches/go

go 1.24.0

require (
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/imagxp/imagxp/bindings/go v0.1.0
)

require (
	golang.org/x/sync v0.19.0 // indirect
	golang.org/x/time v0.14.0 // indirect
)

replace github.com/imagxp/imagxp/bindings/go => ../../bindings/go
