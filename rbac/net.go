package rbac

import "reflect"

// rowKey names the row that a write is about: a comparable value of a type of its own for each kind of row.
func rowKey(row any) any {
	switch r := row.(type) {
	case ResourceServer:
		return r.ID
	case PermissionDef:
		return r.ID
	case Scope:
		return r.ID
	case Role:
		return r.ID
	case Group:
		return r.ID
	case Duty:
		return r.ID
	case Rule:
		return r.ID
	case Control:
		return r.ID
	case Subject:
		return r.ID
	case Account:
		return r.ID
	case Assignment:
		return r.ID
	case Membership:
		return MemberKey{r.Group, r.Account}
	case Delegation:
		return r.ID
	case Exception:
		return r.ID
	case Violation:
		return CaseKey{r.Rule, r.Subject}
	case Case:
		return caseRow{r.Rule, r.Subject}
	case Hold:
		return HoldKey{r.Rule, r.Subject, r.Duty}
	}
	return nil
}

type caseRow CaseKey

// net returns what writes come to: one for each row that is other than before, where it was first written.
func net(writes []Write) []Write {
	at := map[any]int{}
	out := make([]Write, 0, len(writes))
	for _, w := range writes {
		row := w.New
		if row == nil {
			row = w.Old
		}
		key := rowKey(row)
		if i, again := at[key]; again {
			out[i].New = w.New
			continue
		}
		at[key] = len(out)
		out = append(out, w)
	}
	changed := out[:0]
	for _, w := range out {
		if !reflect.DeepEqual(w.Old, w.New) {
			changed = append(changed, w)
		}
	}
	return changed
}
