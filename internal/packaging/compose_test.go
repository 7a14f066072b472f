package packaging_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const root = "../.."

// compose loads docker-compose.yml as `docker compose` does, with profiles switched on.
func compose(t *testing.T, profiles ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{root + "/docker-compose.yml"},
		cli.WithProfiles(profiles), cli.WithEnv([]string{"COUNTERSIGN_ISSUER=https://id.example.org"}))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestEveryServiceIsConfined(t *testing.T) {
	t.Parallel()
	services := compose(t, "demo").Services
	if got := len(services); got != 3 {
		t.Fatalf("got %d services, want countersign, postgres and demo", got)
	}
	for name, s := range services {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !s.ReadOnly {
				t.Error("its root can be written to")
			}
			if !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || s.Privileged {
				t.Errorf("it keeps capabilities: drops %v, adds %v, privileged %v", s.CapDrop, s.CapAdd, s.Privileged)
			}
			if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
				t.Errorf("it may gain privileges: %v", s.SecurityOpt)
			}
			if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(s.User) {
				t.Errorf("its user is %q, want a number that is not root's", s.User)
			}
			if len(s.Tmpfs) == 0 {
				t.Error("it has no room for temporary files")
			}
			if s.HealthCheck == nil || len(s.HealthCheck.Test) < 2 || s.HealthCheck.Test[0] != "CMD" {
				t.Error("nothing asks whether it is well")
			}
			if s.NetworkMode != "" || s.Pid != "" || s.Ipc != "" || len(s.Devices) > 0 {
				t.Error("it shares something with the machine")
			}
			for _, v := range s.Volumes {
				if v.Type != types.VolumeTypeVolume {
					t.Errorf("it sees %s of the machine", v.Source)
				}
			}
		})
	}
}

func TestOnlyLoopbackIsPublished(t *testing.T) {
	t.Parallel()
	want := map[string][]string{"countersign": {"8000:8080"}, "postgres": nil, "demo": {"8080:8080", "8090:8090"}}
	for name, s := range compose(t, "demo").Services {
		var got []string
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s on %q, want 127.0.0.1", name, p.Published, p.HostIP)
			}
			got = append(got, fmt.Sprintf("%s:%d", p.Published, p.Target))
		}
		if !slices.Equal(got, want[name]) {
			t.Errorf("%s publishes %v, want %v", name, got, want[name])
		}
	}
}

func TestSecretsAreFiles(t *testing.T) {
	t.Parallel()
	project := compose(t, "demo")
	secret := regexp.MustCompile(`PASSWORD|KEY|SECRET|TOKEN|DATABASE$`)
	for name, s := range project.Services {
		for key, value := range s.Environment {
			if secret.MatchString(strings.TrimSuffix(key, "_FILE")) && !strings.HasSuffix(key, "_FILE") {
				t.Errorf("%s is given %s in its environment", name, key)
			}
			if strings.HasSuffix(key, "_FILE") && (value == nil || !strings.HasPrefix(*value, "/run/secrets/")) {
				t.Errorf("%s reads %s from elsewhere than /run/secrets", name, key)
			}
		}
		for _, used := range s.Secrets {
			if project.Secrets[used.Source].File == "" {
				t.Errorf("the secret %s of %s is no file", used.Source, name)
			}
		}
	}
	ignored, err := os.ReadFile(root + "/.gitignore")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(ignored), "/secrets/") {
		t.Error("git does not ignore the folder secrets")
	}
}

func TestDatabaseIsOutOfReach(t *testing.T) {
	t.Parallel()
	project := compose(t)
	postgres := project.Services["postgres"]
	if got := postgres.NetworksByPriority(); !slices.Equal(got, []string{"back"}) {
		t.Errorf("postgres is on %v, want back alone", got)
	}
	if !project.Networks["back"].Internal {
		t.Error("the network of the database leads outside")
	}
	if !strings.HasPrefix(postgres.Image, "postgres:17") {
		t.Errorf("the database is %s, want PostgreSQL 17", postgres.Image)
	}
}

func TestDemoStartsOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	if _, there := compose(t).Services["demo"]; there {
		t.Error("the demo starts with the rest")
	}
	demo := compose(t, "demo").Services["demo"]
	if !slices.Contains(demo.Command, "--bind-all-for-container") {
		t.Errorf("the demo is started as %v: it listens where nobody reaches it", demo.Command)
	}
	if len(demo.DependsOn) > 0 || len(demo.Secrets) > 0 {
		t.Error("the demo needs more than itself")
	}
}

// TestProxyIsTheOnlyOneTrusted: an https issuer behind a plain listener is served to trusted proxies
// alone, so the gateway that the container sees must be the one it trusts.
func TestProxyIsTheOnlyOneTrusted(t *testing.T) {
	t.Parallel()
	project := compose(t)
	trusted := project.Services["countersign"].Environment["COUNTERSIGN_TRUSTED_PROXIES"]
	gateway := project.Networks["front"].Ipam.Config[0].Gateway
	if trusted == nil || *trusted != gateway {
		t.Errorf("it trusts %v, want the gateway %s", trusted, gateway)
	}
}
