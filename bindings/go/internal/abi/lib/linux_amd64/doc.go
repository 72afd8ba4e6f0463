// Package linux_amd64 is the place of libimagxp.a for linux/amd64, which `make go-lib` puts here.
package linux_amd64
