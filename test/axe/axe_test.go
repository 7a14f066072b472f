package axe_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/countersign-id/countersign/test/axe"
)

func TestSourceIsWhatTheReadmeSays(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(axe.Source))
	if got := hex.EncodeToString(sum[:]); !strings.Contains(string(readme), "`"+got+"`") {
		t.Errorf("axe.min.js has SHA-256 %s, which README.md does not name", got)
	}
}
