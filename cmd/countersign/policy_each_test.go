package main

import (
	"strings"
	"testing"
)

// A refusal at the command line is remembered, on either database: it is printed with its reason, and its event is in the log.
func TestARefusalIsToldAndRemembered(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, d *deployment) {
		d.addUser("probe")
		d.addUser("deputy")
		for _, line := range []string{
			"server add ledger --audience https://ledger.example.org",
			"permission add ledger/invoice:enter", "permission add ledger/invoice:approve",
			"role add clerk --permission ledger/invoice:enter", "role add approver --permission ledger/invoice:approve",
			"duty add ENTER --expr perm:ledger/invoice:enter", "duty add APPROVE --expr any(perm:ledger/invoice:approve,role:approver)",
			"rule add R1 --duty ENTER --duty APPROVE --mode block --level high",
			"assign probe clerk", "group add g --role clerk", "group put g deputy --until +2h",
		} {
			d.run("", strings.Fields(line)...)
		}
		before := d.run("", "audit", "list", "--kind", "change.refused", "--json")
		if _, errs, code := d.try("", "assign", "probe", "approver", "--dry-run"); code != exitConflict || !strings.Contains(errs, "[sod-violation]") {
			t.Errorf("a rehearsal: exit %d, %s", code, errs)
		}
		if d.run("", "audit", "list", "--kind", "change.refused", "--json") != before {
			t.Error("a rehearsal is in the audit log")
		}
		_, errs, code := d.try("", "assign", "probe", "approver")
		if code != exitConflict || !strings.Contains(errs, "ENTER: probe → assigned → role clerk → ledger/invoice:enter") || !strings.Contains(errs, "withdraw clerk from probe") {
			t.Errorf("a refusal: exit %d, %s", code, errs)
		}
		if after := d.run("", "audit", "list", "--kind", "change.refused", "--json"); !strings.Contains(after, "sod-violation") {
			t.Errorf("the refusal is not in the audit log: %s", after)
		}
		if out := d.run("", "assign", "list", "probe", "--json"); strings.Contains(out, "approver") {
			t.Errorf("it was done in part: %s", out)
		}
		d.run("", "assign", "deputy", "approver", "--from", "+3h")
		if out := d.run("", "violations", "sweep", "--json"); !strings.Contains(out, `"violations":0`) {
			t.Errorf("windows that only follow each other are no conflict: %s", out)
		}
		if out := d.run("", "simulate", "rule", "R1", "--json"); !strings.Contains(out, `"conflicts":[]`) {
			t.Error(out)
		}
		d.run("", "audit", "verify")
	})
}
