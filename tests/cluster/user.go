package main

import (
	"errors"
	"flag"
)

// user writes a kubeconfig for a user of the cluster, who may do what RBAC
// allows that name and those groups.
func user(args []string) error {
	flags := flag.NewFlagSet("user", flag.ExitOnError)
	dir := flags.String("dir", "", "`directory` of the cluster")
	name := flags.String("name", "", "the user's `name`")
	out := flags.String("out", "", "the kubeconfig `file` to write")
	var groups []string
	flags.Func("group", "a `group` of the user; may be given several times", func(group string) error {
		groups = append(groups, group)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" || *name == "" || *out == "" {
		return errors.New("user: --dir, --name and --out are needed")
	}
	c, err := load(*dir)
	if err != nil {
		return err
	}
	ca, err := loadAuthority(c.path("pki"), "ca")
	if err != nil {
		return err
	}
	pair, err := ca.client(*name, groups...)
	if err != nil {
		return err
	}
	return writeKubeconfig(*out, c.server(), ca.pem(), *name, pair)
}
