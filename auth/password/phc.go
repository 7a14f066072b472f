package password

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	saltBytes = 16
	keyBytes  = 32
)

var errPHC = errors.New("password: not an argon2id hash within bounds")

// cost is what one hash takes.
type cost struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

// check bounds what a hash may take: an imported one must not be able to take the machine (sec-K23).
func (c cost) check() error {
	if c.memory < 8*uint32(c.threads) || c.memory > 1<<20 || c.time < 1 || c.time > 16 || c.threads < 1 || c.threads > 16 {
		return fmt.Errorf("password: m=%d KiB, t=%d, p=%d is out of bounds (8p to 1 GiB, 1 to 16, 1 to 16)", c.memory, c.time, c.threads)
	}
	return nil
}

// phc is a hash as the PHC string format writes it.
type phc struct {
	cost
	salt, key []byte
}

func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", p.memory, p.time, p.threads,
		base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.key))
}

// Check says whether encoded is a hash that Verify can read: argon2id version 19, within bounds.
func Check(encoded string) error {
	_, err := parse(encoded)
	return err
}

func parse(s string) (phc, error) {
	f := strings.Split(s, "$")
	if len(s) > 512 || len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != "v=19" {
		return phc{}, errPHC
	}
	params := strings.Split(f[3], ",")
	if len(params) != 3 {
		return phc{}, errPHC
	}
	var n [3]uint64
	for i, prefix := range []string{"m=", "t=", "p="} {
		text, ok := strings.CutPrefix(params[i], prefix)
		v, err := strconv.ParseUint(text, 10, 32)
		if !ok || err != nil || i == 2 && v > 255 {
			return phc{}, errPHC
		}
		n[i] = v
	}
	p := phc{cost: cost{memory: uint32(n[0]), time: uint32(n[1]), threads: uint8(n[2])}}
	if p.check() != nil {
		return phc{}, errPHC
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.Strict().DecodeString(f[4]); err != nil || len(p.salt) < 8 || len(p.salt) > 64 {
		return phc{}, errPHC
	}
	if p.key, err = base64.RawStdEncoding.Strict().DecodeString(f[5]); err != nil || len(p.key) < 16 || len(p.key) > 64 {
		return phc{}, errPHC
	}
	return p, nil
}
