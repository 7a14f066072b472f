package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// accountView is an account as the command line shows it. Secrets are not in it because they are not in auth.Account.
type accountView struct {
	ID        auth.AccountID    `json:"id"`
	Username  string            `json:"username"`
	Name      string            `json:"name,omitempty"`
	Email     string            `json:"email,omitempty"`
	State     auth.AccountState `json:"state"`
	CreatedAt time.Time         `json:"created_at"`
}

func viewAccount(a auth.Account) accountView {
	return accountView{a.ID, a.Username, a.Profile.Name, a.Profile.Email, a.State, a.CreatedAt}
}

func (c *cli) userCommand() *cobra.Command {
	return group("user", "People's accounts", c.userAdd(), c.userList(), c.userState("disable", auth.Disable), c.userState("enable", auth.Enable), c.userSetPassword(), c.userPass())
}

func (c *cli) userAdd() *cobra.Command {
	var n auth.NewAccount
	var stdin, verified bool
	cmd := &cobra.Command{
		Use: "add", Short: "Add a person with an account", Args: exactly(),
		Example: "  printf 'a long enough passphrase' | countersign user add --username ada --email ada@example.org --name 'Ada' --password-stdin",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return c.withStore(ctx, func(cfg *Config, db *store.DB) error {
				pw, err := c.readPassword(stdin)
				if err != nil {
					return err
				}
				n.Profile.EmailVerified = verified && n.Profile.Email != ""
				if n.Hash, err = c.newHash(ctx, cfg, pw, n.Username, n.Profile.Email, n.Profile.Name); err != nil {
					return err
				}
				var a auth.Account
				if err := db.Update(ctx, func(tx *store.Tx) (err error) {
					a, err = auth.AddAccount(ctx, tx, c.by(), n)
					return err
				}); err != nil {
					return err
				}
				return c.print(viewAccount(a), func(w io.Writer) { fmt.Fprintf(w, "Added %s (%s).\n", a.Username, a.ID) })
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.Username, "username", "", "name to sign in with")
	f.StringVar(&n.Profile.Email, "email", "", "e-mail address; it can be signed in with too")
	f.BoolVar(&verified, "email-verified", false, "the address is known to be theirs")
	f.StringVar(&n.Profile.Name, "name", "", "full name, as shown")
	f.StringVar(&n.Profile.GivenName, "given-name", "", "given name")
	f.StringVar(&n.Profile.FamilyName, "family-name", "", "family name")
	f.StringVar(&n.Profile.Locale, "locale", "", "language, such as en or zh-Hans")
	f.BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	_ = cmd.MarkFlagRequired("username")
	return cmd
}

func (c *cli) userList() *cobra.Command {
	var after string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List accounts", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return c.withStore(ctx, func(_ *Config, db *store.DB) error {
				var list []auth.Account
				if err := db.View(ctx, func(tx *store.Tx) (err error) {
					list, err = tx.Accounts(ctx, auth.AccountID(after), limit)
					return err
				}); err != nil {
					return err
				}
				views := make([]accountView, len(list))
				for i, a := range list {
					views[i] = viewAccount(a)
				}
				return c.print(map[string]any{"accounts": views}, func(w io.Writer) {
					table(w, []string{"ID", "USERNAME", "NAME", "STATE"}, len(views), func(i int) []any {
						v := views[i]
						return []any{v.ID, v.Username, v.Name, v.State}
					})
				})
			})
		},
	}
	cmd.Flags().StringVar(&after, "after", "", "continue after this id")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many")
	return cmd
}

// userState makes `user disable` and `user enable`.
func (c *cli) userState(verb string, do func(context.Context, auth.Tx, string, auth.AccountID) error) *cobra.Command {
	short := "Let an account sign in again; what was ended stays ended"
	if verb == "disable" {
		short = "Close an account; its sessions and tokens end at once"
	}
	return &cobra.Command{
		Use: verb + " USERNAME", Short: short, Args: exactly("one username or id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.withStore(ctx, func(_ *Config, db *store.DB) error {
				var a auth.Account
				if err := db.Update(ctx, func(tx *store.Tx) error {
					found, err := findAccount(ctx, tx, args[0])
					if err != nil {
						return err
					}
					if err := do(ctx, tx, c.by(), found.ID); err != nil {
						return err
					}
					a, err = tx.Account(ctx, found.ID)
					return err
				}); err != nil {
					return err
				}
				return c.print(viewAccount(a), func(w io.Writer) { fmt.Fprintf(w, "%s is %s.\n", a.Username, a.State) })
			})
		},
	}
}

func (c *cli) userSetPassword() *cobra.Command {
	var stdin bool
	cmd := &cobra.Command{
		Use: "set-password USERNAME", Short: "Replace a password; sessions and tokens end", Args: exactly("one username or id"),
		Example: "  printf 'another long passphrase' | countersign user set-password ada --password-stdin",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.withStore(ctx, func(cfg *Config, db *store.DB) error {
				var a auth.Account
				if err := db.View(ctx, func(tx *store.Tx) (err error) {
					a, err = findAccount(ctx, tx, args[0])
					return err
				}); err != nil {
					return err
				}
				pw, err := c.readPassword(stdin)
				if err != nil {
					return err
				}
				hash, err := c.newHash(ctx, cfg, pw, a.Username, a.Profile.Email, a.Profile.Name)
				if err != nil {
					return err
				}
				if err := db.Update(ctx, func(tx *store.Tx) error { return auth.SetPassword(ctx, tx, c.by(), a.ID, hash) }); err != nil {
					return err
				}
				return c.print(viewAccount(a), func(w io.Writer) { fmt.Fprintf(w, "The password of %s was replaced.\n", a.Username) })
			})
		},
	}
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	return cmd
}

// userPass makes `user pass`.
func (c *cli) userPass() *cobra.Command {
	var life time.Duration
	cmd := &cobra.Command{
		Use: "pass USERNAME", Short: "Issue a temporary pass, by which a person who lost their factors enrols another", Args: exactly("one username or id"),
		Long: "Issue a temporary pass. After their password its holder types it where a second factor is asked for, once, and enrols a new one.\n" +
			"It is shown only now; a later one takes its place. The person is told of it.",
		Example: "  countersign user pass ada --life 2h",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.withStore(ctx, func(_ *Config, db *store.DB) error {
				secrets, err := deploymentSecrets(ctx, db)
				if err != nil {
					return err
				}
				var a auth.Account
				var pass auth.Secret
				var ends time.Time
				if err := db.Update(ctx, func(tx *store.Tx) (err error) {
					if a, err = findAccount(ctx, tx, args[0]); err != nil {
						return err
					}
					pass, ends, err = auth.SignIn{Key: secrets.throttle}.IssuePass(ctx, tx, c.by(), a.ID, life)
					return err
				}); err != nil {
					return err
				}
				view := map[string]any{"account": viewAccount(a), "pass": string([]byte(pass)), "ends_at": ends}
				return c.print(view, func(w io.Writer) {
					fmt.Fprintf(w, "Temporary pass of %s, until %s:\n\n  %s\n\nIt works once, and is shown only now.\n", a.Username, stamp(ends), string([]byte(pass)))
				})
			})
		},
	}
	cmd.Flags().DurationVar(&life, "life", 8*time.Hour, "how long it may be used, at most 72h")
	return cmd
}

// findAccount takes a username, an e-mail address or an id.
func findAccount(ctx context.Context, tx *store.Tx, name string) (auth.Account, error) {
	a, err := tx.AccountByName(ctx, auth.CanonicalName(name))
	if !fault.Is(err, fault.NotFound) {
		return a, err
	}
	return tx.Account(ctx, auth.AccountID(name))
}

// table writes n rows under a head.
func table(w io.Writer, head []string, n int, row func(i int) []any) {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for i, h := range head {
		if i > 0 {
			fmt.Fprint(tw, "\t")
		}
		fmt.Fprint(tw, h)
	}
	fmt.Fprintln(tw)
	for i := range n {
		for j, v := range row(i) {
			if j > 0 {
				fmt.Fprint(tw, "\t")
			}
			fmt.Fprint(tw, v)
		}
		fmt.Fprintln(tw)
	}
	_ = tw.Flush()
}
