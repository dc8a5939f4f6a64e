// Command volumes provisions the volumes of the node that it runs on: a folder each.
//
// Other provisioners of this kind start a pod for every folder that they make or remove, which costs a small machine more than
// the pods that use them.
package main

import (
	"context"
	"log"
	"os"
	"path/filepath"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v11/controller"
)

const (
	// name is what storage classes ask for: that of kind's own provisioner, so that a class fits nodes of either origin.
	name = "rancher.io/local-path"
	// root holds the folders, on the node and in the pod.
	root = "/var/local-path-provisioner"

	// selectedNode is where the scheduler notes on a claim which node its pod goes to.
	selectedNode = "volume.kubernetes.io/selected-node"
	// onNode is where a volume says which node holds it.
	onNode = "lab.cachebus.dev/node"
)

// folders are the volumes of one node.
type folders struct {
	node string
}

var (
	_ controller.Provisioner   = folders{}
	_ controller.Qualifier     = folders{}
	_ controller.DeletionGuard = folders{}
)

// ShouldProvision tells whether the pod that uses the claim goes to this node.
func (f folders) ShouldProvision(_ context.Context, claim *v1.PersistentVolumeClaim) bool {
	return claim.Annotations[selectedNode] == f.node
}

// ShouldDelete tells whether the volume is on this node.
func (f folders) ShouldDelete(_ context.Context, volume *v1.PersistentVolume) bool {
	return volume.Annotations[onNode] == f.node
}

// Provision makes a folder that any user may write to.
func (f folders) Provision(_ context.Context, options controller.ProvisionOptions) (*v1.PersistentVolume, controller.ProvisioningState, error) {
	path := filepath.Join(root, options.PVName)
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	// The process' mask does not apply.
	if err := os.Chmod(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	kind := v1.HostPathDirectoryOrCreate
	volume := &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        options.PVName,
			Annotations: map[string]string{onNode: f.node},
		},
		Spec: v1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   options.PVC.Spec.AccessModes,
			Capacity: v1.ResourceList{
				v1.ResourceStorage: options.PVC.Spec.Resources.Requests[v1.ResourceStorage],
			},
			PersistentVolumeSource: v1.PersistentVolumeSource{
				HostPath: &v1.HostPathVolumeSource{Path: path, Type: &kind},
			},
			NodeAffinity: &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{
				NodeSelectorTerms: []v1.NodeSelectorTerm{{
					MatchExpressions: []v1.NodeSelectorRequirement{{
						Key:      v1.LabelHostname,
						Operator: v1.NodeSelectorOpIn,
						Values:   []string{options.SelectedNode.Labels[v1.LabelHostname]},
					}},
				}},
			}},
		},
	}
	return volume, controller.ProvisioningFinished, nil
}

// Delete removes the folder with all that is in it.
func (f folders) Delete(_ context.Context, volume *v1.PersistentVolume) error {
	return os.RemoveAll(filepath.Join(root, volume.Name))
}

func main() {
	node := os.Getenv("NODE_NAME")
	if node == "" {
		log.Fatal("NODE_NAME is not set")
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		log.Fatal(err)
	}
	// Many pods start at once here; the default of 5 requests a second makes them wait.
	config.QPS, config.Burst = 50, 100
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	controller.NewProvisionController(
		ctx, client, name, folders{node},
		// Each node sees to its own.
		controller.LeaderElection(false),
		// 0 serves no metrics.
		controller.MetricsPort(0),
	).Run(ctx)
}
