// The control plane of a real Kubernetes as one program: the first argument picks the component.
//
// One binary instead of five, since they share nearly all of their code: it links in a fraction of the time and space.
// It is for tests and for playing; nothing here is hardened, and nothing of it ships.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

var components = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": manager.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
}

func main() {
	if len(os.Args) < 2 {
		fail("which component? kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, etcd, or key")
	}
	name := os.Args[1]
	// Each component reads os.Args itself and finds there what it would find in a program of its own.
	os.Args = append([]string{name}, os.Args[2:]...)
	switch {
	case name == "etcd":
		etcdmain.Main(os.Args)
	case name == "key":
		printKey()
	case components[name] != nil:
		os.Exit(cli.Run(components[name]()))
	default:
		fail("there is no component " + name)
	}
}

// printKey writes a fresh private key for signing service account tokens, so that no other tool is needed for it.
func printKey() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		fail(err.Error())
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		fail(err.Error())
	}
	if err := pem.Encode(os.Stdout, &pem.Block{Type: "EC PRIVATE KEY", Bytes: der}); err != nil {
		fail(err.Error())
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, "controlplane: "+message)
	os.Exit(2)
}
