// Renders a chart's templates as Helm does: Go's templates with Sprig and the
// functions that Helm adds.  Reads {"chart": DIRECTORY, "context": {...}} and
// writes {"NAME": "TEXT"} as JSON.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v3"
)

type files struct{ root string }

func (f files) Get(name string) string {
	text, err := os.ReadFile(filepath.Join(f.root, name))
	if err != nil {
		return ""
	}
	return string(text)
}

// By way of JSON, so that 100 stays 100: all numbers of values are floats.
func toYaml(v interface{}) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	var plain interface{}
	if err := yaml.Unmarshal(text, &plain); err != nil {
		return "", err
	}
	var out strings.Builder
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(plain); err != nil {
		return "", err
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

func functions(t *template.Template) template.FuncMap {
	f := sprig.TxtFuncMap()
	delete(f, "env")
	delete(f, "expandenv")
	f["toYaml"] = toYaml
	f["required"] = func(why string, v interface{}) (interface{}, error) {
		if v == nil || v == "" {
			return nil, fmt.Errorf("%s", why)
		}
		return v, nil
	}
	f["include"] = func(name string, data interface{}) (string, error) {
		var out strings.Builder
		err := t.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	return f
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	var in struct {
		Chart   string
		Context map[string]interface{}
	}
	check(json.NewDecoder(os.Stdin).Decode(&in))
	t := template.New("chart").Option("missingkey=zero")
	t.Funcs(functions(t))
	paths, err := filepath.Glob(filepath.Join(in.Chart, "templates", "*"))
	check(err)
	base := in.Context["Chart"].(map[string]interface{})["Name"].(string) + "/templates"
	for _, path := range paths {
		text, err := os.ReadFile(path)
		check(err)
		_, err = t.New(base + "/" + filepath.Base(path)).Parse(string(text))
		check(err)
	}
	in.Context["Files"] = files{in.Chart}
	out := map[string]string{}
	for _, path := range paths {
		name := filepath.Base(path)
		if strings.HasPrefix(name, "_") {
			continue
		}
		in.Context["Template"] = map[string]string{
			"Name": base + "/" + name, "BasePath": base}
		var text strings.Builder
		check(t.ExecuteTemplate(&text, base+"/"+name, in.Context))
		out[name] = strings.ReplaceAll(text.String(), "<no value>", "")
	}
	check(json.NewEncoder(os.Stdout).Encode(out))
}
