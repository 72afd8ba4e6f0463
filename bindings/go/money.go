package imagxp

import (
	"fmt"
	"strconv"
	"strings"
)

// Money is exact: decimals of at most six places, in integer millionths.

const (
	micros      = 1_000_000
	placesMax   = 6
	integersMax = 9
)

// parseMicros reads a decimal above 0.
func parseMicros(text string) (int64, error) {
	integer, fraction, _ := strings.Cut(text, ".")
	digits := integer + fraction
	if integer == "" || len(integer) > integersMax || len(fraction) > placesMax || strings.Trim(digits, "0123456789") != "" || strings.HasSuffix(text, ".") {
		return 0, fmt.Errorf("%.40q is not a decimal above 0 with at most six places: %w", text, ErrVisaAmount)
	}
	number, err := strconv.ParseInt(digits+strings.Repeat("0", placesMax-len(fraction)), 10, 64)
	if err != nil || number == 0 {
		return 0, fmt.Errorf("%.40q is not a decimal above 0 with at most six places: %w", text, ErrVisaAmount)
	}
	return number, nil
}

// formatMicros writes a decimal without needless zeros: a JSON number, too.
func formatMicros(number int64) string {
	text := fmt.Sprintf("%d.%06d", number/micros, number%micros)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}
