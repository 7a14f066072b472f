package auth_test

import (
	"context"
	"slices"
	"testing"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store/storetest"
)

// A rule by role, group or power looks at what an account holds, and at what it could take up: inherited, through a group in a
// group, or only eligible. What has ended, and what another account holds, is not looked at.
func TestPolicySeesWhatAnAccountCouldTakeUp(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		ann, bob := r.account("ann"), r.account("bob")
		r.update(func(ctx context.Context, tx auth.Tx) error {
			if err := rbac.Furnish(ctx, tx, rbac.By{Actor: "local:test"}); err != nil {
				return err
			}
			id := rbac.AccountID(ann.ID)
			assign := func(role rbac.RoleID, eligible bool) rbac.Op {
				return rbac.Assign{Assignment: rbac.Assignment{ID: rbac.AssignmentID(tx.NewID()), Account: id, Role: role, Eligible: eligible}}
			}
			return storetest.Policy(ctx, tx,
				rbac.CreateRole{Role: rbac.Role{ID: "head", Name: "Head", Juniors: []rbac.Junior{{Role: "clerk"}}}}, storetest.Role("clerk", "ledger/invoice:enter"),
				storetest.Role("driver"), rbac.CreateGroup{Group: rbac.Group{ID: "oslo", Name: "Oslo"}},
				rbac.CreateGroup{Group: rbac.Group{ID: "finance", Name: "Finance", Roles: []rbac.RoleID{"driver"}, Children: []rbac.GroupID{"oslo"}}},
				rbac.AddMember{Membership: rbac.Membership{Group: "oslo", Account: id}}, assign("head", false), assign(rbac.Auditor, true))
		})
		situation := func(a auth.Account) (s auth.Situation) {
			r.update(func(ctx context.Context, tx auth.Tx) (err error) {
				s, err = auth.SituationOf(ctx, tx, a)
				return err
			})
			return s
		}
		got := situation(ann)
		if want := []string{"auditor", "clerk", "driver", "head"}; !slices.Equal(got.Roles, want) {
			r.Errorf("roles %v, want %v", got.Roles, want)
		}
		if want := []string{"finance", "oslo"}; !slices.Equal(got.Groups, want) {
			r.Errorf("groups %v, want %v", got.Groups, want)
		}
		if !got.Administers {
			r.Error("who may take up administrative power is not protected as one who has it")
		}
		if got := situation(bob); len(got.Roles)+len(got.Groups) > 0 || got.Administers {
			r.Errorf("another's account: %+v", got)
		}
		r.withdrawRole(string(ann.ID), rbac.Auditor)
		r.withdrawRole(string(ann.ID), "head")
		if got := situation(ann); !slices.Equal(got.Roles, []string{"driver"}) || got.Administers {
			r.Errorf("with the roles gone: %+v", got)
		}
	})
}
