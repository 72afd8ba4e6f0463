// Package include is the place of imagxp.h, which `make go-lib` puts here.
package include
