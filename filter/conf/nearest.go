package conf

// nearest returns the candidate that name most likely is a misspelling of, or ""
// if none is close: at most one edit, and one more for every four characters, so
// that two swapped ones, which are two edits, are found in a word of four.
func nearest(name string, candidates []string) string {
	if len(name) > 64 { // no field name is near that; the distance is quadratic
		return ""
	}
	best, least := "", 1+len(name)/4
	for _, c := range candidates {
		if d := distance(name, c); d <= least && (best == "" || d < least) {
			best, least = c, d
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes, upper and lower case alike.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 0; i < len(a); i++ {
		diagonal := row[0]
		row[0] = i + 1
		for j := 0; j < len(b); j++ {
			cost := diagonal
			if lower(a[i]) != lower(b[j]) {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
