// Package linux_arm64 is the place of libimagxp.a for linux/arm64, which `make go-lib` puts here.
package linux_arm64
