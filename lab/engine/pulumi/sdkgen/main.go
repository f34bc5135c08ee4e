// Command sdkgen generates the SDK of a package in one language, as the language hosts of a Pulumi release do.
//
// It reads one JSON document from standard input, writes the SDK's files, and prints the diagnostics as JSON.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"
	golang "github.com/pulumi/pulumi/pkg/v3/codegen/go"
	"github.com/pulumi/pulumi/pkg/v3/codegen/nodejs"
	"github.com/pulumi/pulumi/pkg/v3/codegen/python"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

// request has the fields of a pulumirpc.GeneratePackageRequest, and the language.
type request struct {
	Language          string            `json:"language"`
	Directory         string            `json:"directory"`
	Schema            string            `json:"schema"`
	ExtraFiles        map[string][]byte `json:"extraFiles"`
	LocalDependencies map[string]string `json:"localDependencies"`
	LoaderTarget      string            `json:"loaderTarget"`
	Local             bool              `json:"local"`
}

func main() {
	diagnostics, err := run()
	if err != nil {
		fmt.Fprintf(os.Stderr, "sdkgen: %v\n", err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(diagnostics); err != nil {
		fmt.Fprintf(os.Stderr, "sdkgen: %v\n", err)
		os.Exit(1)
	}
}

// diagnostic has the fields of an hcl.Diagnostic that the caller needs.
type diagnostic struct {
	IsError bool   `json:"isError"`
	Summary string `json:"summary"`
	Detail  string `json:"detail"`
}

func run() ([]diagnostic, error) {
	var req request
	if err := json.NewDecoder(os.Stdin).Decode(&req); err != nil {
		return nil, fmt.Errorf("standard input is not a request: %w", err)
	}
	var spec schema.PackageSpec
	if err := json.Unmarshal([]byte(req.Schema), &spec); err != nil {
		return nil, fmt.Errorf("the schema is not a package schema: %w", err)
	}
	loader, err := schema.NewLoaderClient(req.LoaderTarget)
	if err != nil {
		return nil, err
	}
	bound, problems, err := schema.BindSpec(spec, loader, schema.ValidationOptions{AllowDanglingReferences: true})
	if err != nil {
		return nil, err
	}
	if problems.HasErrors() {
		return plain(problems), nil
	}
	files, err := generate(req, bound, loader)
	if err != nil {
		return nil, err
	}
	return plain(problems), write(req.Directory, files)
}

func generate(req request, bound *schema.Package, loader schema.ReferenceLoader) (map[string][]byte, error) {
	tool := "pulumi-language-" + req.Language
	switch req.Language {
	case "python":
		return python.GeneratePackage(tool, bound, req.ExtraFiles, loader)
	case "nodejs":
		return nodejs.GeneratePackage(
			tool, bound, req.ExtraFiles, req.LocalDependencies, req.Local, loader)
	case "go":
		return golang.GeneratePackage(tool, bound, req.LocalDependencies)
	default:
		return nil, fmt.Errorf("language %q is not one of python, nodejs, go", req.Language)
	}
}

func write(directory string, files map[string][]byte) error {
	for name, content := range files {
		path := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func plain(problems hcl.Diagnostics) []diagnostic {
	result := make([]diagnostic, 0, len(problems))
	for _, each := range problems {
		result = append(result, diagnostic{
			IsError: each.Severity == hcl.DiagError, Summary: each.Summary, Detail: each.Detail,
		})
	}
	return result
}
