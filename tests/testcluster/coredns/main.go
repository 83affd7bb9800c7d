// The name server of a Kubernetes cluster: CoreDNS with the few plugins that a cluster needs, so that it builds in minutes.
//
// It is for tests: pods of one run find each other by the names that a headless Service gives them, as in any cluster.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

func main() {
	// The order in which plugins see a query.
	dnsserver.Directives = []string{"ready", "errors", "kubernetes"}
	coremain.Run()
}
