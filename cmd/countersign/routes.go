package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/auth/oidc"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/ui"
)

// routeView is one line of the route table.
type routeView struct {
	Pattern    string `json:"pattern"`
	Permission string `json:"permission"`
	CSRF       string `json:"csrf"`
	CORS       string `json:"cors"`
}

// routeTable joins the doors' tables with the frame's own routes.
func routeTable(people []ui.Route, protocol []oidc.Route) []routeView {
	all := []routeView{
		{"GET /livez", "open", "safe", "none"},
		{"GET /readyz", "open", "safe", "none"},
	}
	for _, r := range people {
		all = append(all, routeView{r.Pattern, r.Permission, r.CSRF, "none"})
	}
	for _, r := range protocol {
		all = append(all, routeView{r.Pattern, r.Permission, r.CSRF, r.CORS})
	}
	return all
}

func (c *cli) routesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "routes", Short: "List every route with what it needs", Args: exactly(),
		Long: "List every route with the permission it needs, how it is kept from other sites' forms, and which origins may read it.\n" +
			"The table is that of this binary; no database is touched.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			routes, err := c.allRoutes(cmd)
			if err != nil {
				return err
			}
			return c.print(map[string]any{"routes": routes}, func(w io.Writer) {
				table(w, []string{"ROUTE", "PERMISSION", "CSRF", "CORS"}, len(routes), func(i int) []any {
					r := routes[i]
					return []any{r.Pattern, r.Permission, r.CSRF, r.CORS}
				})
			})
		},
	}
}

// allRoutes builds a deployment over an empty database of its own, to read the tables that would be served.
func (c *cli) allRoutes(cmd *cobra.Command) ([]routeView, error) {
	dir, err := os.MkdirTemp("", "countersign-routes-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	cfg, err := loadConfig("", nil, map[string]string{
		"issuer": "http://localhost:8080", "database": "sqlite:" + filepath.Join(dir, "routes.db"), "master_key": newMasterKey(),
	})
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	if _, err := store.Migrate(cmd.Context(), cfg.store(log)); err != nil {
		return nil, err
	}
	db, err := store.Open(cmd.Context(), cfg.store(log))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	g, err := build(cmd.Context(), cfg, db, log, false)
	if err != nil {
		return nil, err
	}
	return g.routes, nil
}
