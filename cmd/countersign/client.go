package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// clientView is an application as the command line shows it. A secret is shown once, when it is made.
type clientView struct {
	ID             auth.ClientID   `json:"client_id"`
	Secret         string          `json:"client_secret,omitempty"`
	Name           string          `json:"client_name"`
	Kind           auth.ClientKind `json:"kind"`
	Disabled       bool            `json:"disabled"`
	FirstParty     bool            `json:"first_party"`
	AuthMethod     string          `json:"token_endpoint_auth_method"`
	RedirectURIs   []string        `json:"redirect_uris,omitempty"`
	PostLogoutURIs []string        `json:"post_logout_redirect_uris,omitempty"`
	Grants         []string        `json:"grant_types"`
	Scopes         []string        `json:"scopes"`
	Resources      []string        `json:"resources,omitempty"`
	PKCE           string          `json:"pkce"`
	AccessToken    string          `json:"access_token_format"`
	IDTokenAlg     string          `json:"id_token_signed_response_alg"`
	CreatedAt      time.Time       `json:"created_at"`
}

func viewClient(k auth.Client) clientView {
	v := clientView{
		ID: k.ID, Name: k.Name, Kind: k.Kind, Disabled: k.Disabled, FirstParty: k.FirstParty, AuthMethod: k.AuthMethod,
		RedirectURIs: k.RedirectURIs, PostLogoutURIs: k.PostLogoutURIs, Grants: k.Grants, Scopes: k.Scopes, Resources: k.Resources,
		PKCE: "required", AccessToken: "at+jwt", IDTokenAlg: k.IDTokenAlg, CreatedAt: k.CreatedAt,
	}
	if k.AuthMethod == auth.AuthSecret {
		v.AuthMethod = "client_secret_basic"
	}
	if k.PKCEOptional {
		v.PKCE = "optional"
	}
	if k.OpaqueAccessToken {
		v.AccessToken = "opaque"
	}
	return v
}

func (c *cli) clientCommand() *cobra.Command {
	return group("client", "Applications that delegate their sign-in",
		c.clientAdd(), c.clientList(), c.clientShow(), c.clientState("disable", true), c.clientState("enable", false), c.clientRotate())
}

// clientFlags are the fields of an application that `client add` takes beside its id, name and kind.
type clientFlags struct {
	redirect, postLogout, grants, resources, claims []string
	serves                                          []string
	scope, authMethod, jwksFile, jwksURI            string
	idTokenAlg, userinfoAlg, pkce, accessFormat     string
	resource, refreshEnds                           string
	firstParty, noRotation                          bool
	leeway                                          time.Duration
	life                                            auth.Lifetimes
	uri, logo, policy, tos                          string
}

func (c *cli) clientAdd() *cobra.Command {
	var id, name, kind string
	var f clientFlags
	cmd := &cobra.Command{
		Use: "add", Short: "Register an application", Args: exactly(),
		Long: "Register an application. Its kind sets safe defaults: web (a server), spa (in the browser), native (on a device) and\n" +
			"service (no person). A secret is printed once and kept only as a hash.",
		Example: "  countersign client add --id shop --name Shop --kind web --redirect-uri https://shop.example.org/callback --scope 'openid profile email'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return c.withStore(ctx, func(_ *Config, db *store.DB) error {
				k, err := f.client(auth.ClientID(id), name, auth.ClientKind(kind))
				if err != nil {
					return err
				}
				var secret auth.Secret
				if err := db.Update(ctx, func(tx *store.Tx) (err error) {
					k, secret, err = auth.AddClient(ctx, tx, c.by(), k)
					return err
				}); err != nil {
					return err
				}
				v := viewClient(k)
				v.Secret = string([]byte(secret))
				return c.print(v, func(w io.Writer) {
					fmt.Fprintf(w, "Added %s.\nclient_id: %s\n", v.Name, v.ID)
					if v.Secret != "" {
						fmt.Fprintf(w, "client_secret: %s\nIt is shown this once.\n", v.Secret)
					}
				})
			})
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&id, "id", "", "identifier: letters, digits, - _ .")
	fl.StringVar(&name, "name", "", "name that people see")
	fl.StringVar(&kind, "kind", "web", "web, spa, native or service")
	fl.StringArrayVar(&f.redirect, "redirect-uri", nil, "address to return to; may be given several times")
	fl.StringArrayVar(&f.postLogout, "post-logout-redirect-uri", nil, "address to return to after signing out; may be given several times")
	fl.StringVar(&f.scope, "scope", "openid profile email", "scopes it may ask for, separated by spaces")
	fl.StringArrayVar(&f.grants, "grant", nil, "grant type beside those of its kind; may be given several times")
	fl.StringVar(&f.resource, "resource", "", "audience used when a request names none")
	fl.StringArrayVar(&f.resources, "allow-resource", nil, "audience it may ask for; may be given several times")
	fl.StringArrayVar(&f.serves, "serves", nil, "audience it is the API of: it may introspect those tokens; may be given several times")
	fl.StringVar(&f.authMethod, "auth", "", "secret, private_key_jwt or none; its kind decides if empty")
	fl.StringVar(&f.jwksFile, "jwks", "", "file with its public keys, for private_key_jwt")
	fl.StringVar(&f.jwksURI, "jwks-uri", "", "address of its public keys, for private_key_jwt")
	fl.StringVar(&f.idTokenAlg, "id-token-alg", "", "RS256 (default), ES256, PS256 or EdDSA")
	fl.StringVar(&f.userinfoAlg, "userinfo-alg", "", "sign userinfo answers: RS256, ES256, PS256 or EdDSA")
	fl.StringVar(&f.pkce, "pkce", "required", "required or optional (for confidential clients of older libraries)")
	fl.StringVar(&f.accessFormat, "access-token", "at+jwt", "at+jwt or opaque")
	fl.BoolVar(&f.firstParty, "first-party", false, "belongs to the organisation: no consent page")
	fl.StringArrayVar(&f.claims, "claim", nil, "NAME=FIELD[@id_token|@userinfo|@access_token]: a claim from a profile field; may be given several times")
	fl.BoolVar(&f.noRotation, "no-rotation", false, "refresh tokens stay the same")
	fl.DurationVar(&f.leeway, "refresh-leeway", 0, "a retry of a lost refresh within this gets a successor")
	fl.StringVar(&f.refreshEnds, "refresh-ends-with", "", "session: logout ends its refresh tokens; offline: they survive it")
	fl.DurationVar(&f.life.AccessToken, "access-token-life", 0, "life of its access tokens")
	fl.DurationVar(&f.life.IDToken, "id-token-life", 0, "life of its ID tokens")
	fl.DurationVar(&f.life.RefreshIdle, "refresh-idle", 0, "its refresh tokens die after this long without use")
	fl.DurationVar(&f.life.RefreshAbsolute, "refresh-absolute", 0, "its token families die after this long")
	fl.StringVar(&f.uri, "uri", "", "its home page")
	fl.StringVar(&f.logo, "logo-uri", "", "its logo")
	fl.StringVar(&f.policy, "policy-uri", "", "its privacy policy")
	fl.StringVar(&f.tos, "tos-uri", "", "its terms of service")
	_ = cmd.MarkFlagRequired("id")
	_ = cmd.MarkFlagRequired("name")
	return cmd
}

// client puts the flags over the defaults of the kind. auth.AddClient checks the whole.
func (f clientFlags) client(id auth.ClientID, name string, kind auth.ClientKind) (auth.Client, error) {
	k := auth.NewClient(id, name, kind)
	k.RedirectURIs, k.PostLogoutURIs = f.redirect, f.postLogout
	k.Scopes = strings.Fields(f.scope)
	k.Grants = append(k.Grants, f.grants...)
	k.DefaultResource, k.Resources, k.Serves = f.resource, f.resources, f.serves
	k.FirstParty, k.NoRotation, k.RefreshLeeway, k.Lifetimes = f.firstParty, f.noRotation, f.leeway, f.life
	k.URI, k.LogoURI, k.PolicyURI, k.TosURI, k.JWKSURI = f.uri, f.logo, f.policy, f.tos, f.jwksURI
	if f.authMethod != "" {
		k.AuthMethod = f.authMethod
	}
	if f.idTokenAlg != "" {
		k.IDTokenAlg = f.idTokenAlg
	}
	k.UserinfoAlg = f.userinfoAlg
	if f.refreshEnds != "" {
		k.RefreshEndsWith = f.refreshEnds
	}
	switch f.pkce {
	case "required", "optional":
		k.PKCEOptional = f.pkce == "optional"
	default:
		return k, fault.New(fault.Invalid, "bad-client", "--pkce is required or optional.").At("pkce")
	}
	switch f.accessFormat {
	case "at+jwt", "opaque":
		k.OpaqueAccessToken = f.accessFormat == "opaque"
	default:
		return k, fault.New(fault.Invalid, "bad-client", "--access-token is at+jwt or opaque.").At("access-token")
	}
	if f.jwksFile != "" {
		b, err := os.ReadFile(f.jwksFile)
		if err != nil {
			return k, fault.New(fault.Invalid, "bad-client", "The key file cannot be read.").At("jwks").Because(err)
		}
		k.JWKS = b
	}
	for _, text := range f.claims {
		rule, err := auth.ParseClaimRule(text)
		if err != nil {
			return k, err
		}
		k.Claims = append(k.Claims, rule)
	}
	return k, nil
}

func (c *cli) clientList() *cobra.Command {
	var after string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List applications", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return c.withStore(ctx, func(_ *Config, db *store.DB) error {
				var list []auth.Client
				if err := db.View(ctx, func(tx *store.Tx) (err error) {
					list, err = tx.Clients(ctx, auth.ClientID(after), limit)
					return err
				}); err != nil {
					return err
				}
				views := make([]clientView, len(list))
				for i, k := range list {
					views[i] = viewClient(k)
				}
				return c.print(map[string]any{"clients": views}, func(w io.Writer) {
					table(w, []string{"CLIENT ID", "NAME", "KIND", "STATE"}, len(views), func(i int) []any {
						v := views[i]
						state := "active"
						if v.Disabled {
							state = "disabled"
						}
						return []any{v.ID, v.Name, v.Kind, state}
					})
				})
			})
		},
	}
	cmd.Flags().StringVar(&after, "after", "", "continue after this id")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many")
	return cmd
}

func (c *cli) clientShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show an application", Args: exactly("one client id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.withStore(ctx, func(_ *Config, db *store.DB) error {
				var k auth.Client
				if err := db.View(ctx, func(tx *store.Tx) (err error) {
					k, err = tx.Client(ctx, auth.ClientID(args[0]))
					return err
				}); err != nil {
					return err
				}
				v := viewClient(k)
				return c.print(v, func(w io.Writer) {
					rows := [][]any{
						{"client id", v.ID}, {"name", v.Name}, {"kind", v.Kind}, {"disabled", v.Disabled}, {"first party", v.FirstParty},
						{"authentication", v.AuthMethod}, {"grants", strings.Join(v.Grants, " ")}, {"scopes", strings.Join(v.Scopes, " ")},
						{"redirect addresses", strings.Join(v.RedirectURIs, " ")}, {"after signing out", strings.Join(v.PostLogoutURIs, " ")},
						{"pkce", v.PKCE}, {"access tokens", v.AccessToken}, {"ID tokens", v.IDTokenAlg},
					}
					table(w, []string{"FIELD", "VALUE"}, len(rows), func(i int) []any { return rows[i] })
				})
			})
		},
	}
}

// clientState makes `client disable` and `client enable`.
func (c *cli) clientState(verb string, disabled bool) *cobra.Command {
	short := "Open an application again"
	if disabled {
		short = "Close an application; its tokens end at once"
	}
	return &cobra.Command{
		Use: verb + " ID", Short: short, Args: exactly("one client id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.withStore(ctx, func(_ *Config, db *store.DB) error {
				var k auth.Client
				if err := db.Update(ctx, func(tx *store.Tx) (err error) {
					if err = auth.SetClientDisabled(ctx, tx, c.by(), auth.ClientID(args[0]), disabled); err != nil {
						return err
					}
					k, err = tx.Client(ctx, auth.ClientID(args[0]))
					return err
				}); err != nil {
					return err
				}
				return c.print(viewClient(k), func(w io.Writer) { fmt.Fprintf(w, "%s: %sd.\n", k.ID, verb) })
			})
		},
	}
}

func (c *cli) clientRotate() *cobra.Command {
	var overlap time.Duration
	cmd := &cobra.Command{
		Use: "rotate-secret ID", Short: "Give an application a new secret", Args: exactly("one client id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.withStore(ctx, func(_ *Config, db *store.DB) error {
				var secret auth.Secret
				if err := db.Update(ctx, func(tx *store.Tx) (err error) {
					secret, err = auth.RotateSecret(ctx, tx, c.by(), auth.ClientID(args[0]), overlap)
					return err
				}); err != nil {
					return err
				}
				v := map[string]any{"client_id": args[0], "client_secret": string([]byte(secret)), "old_secrets_end_in": overlap.String()}
				return c.print(v, func(w io.Writer) {
					fmt.Fprintf(w, "client_secret: %s\nIt is shown this once. The old one works for another %s.\n", string([]byte(secret)), overlap)
				})
			})
		},
	}
	cmd.Flags().DurationVar(&overlap, "overlap", time.Hour, "how long the old secret still works")
	return cmd
}
