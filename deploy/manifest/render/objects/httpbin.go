package objects

import (
	"fmt"

	"github.com/distribution/reference"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	httpbinName = "httpbin"
	// httpbinPort is the port on which the image's server listens. httpbinServicePort is the
	// port of Istio's own httpbin sample:
	// https://github.com/istio/istio/blob/1.31.1/samples/httpbin/httpbin.yaml
	httpbinPort        = 8080
	httpbinServicePort = 8000
)

// httpbin is a service that shows a filter's effect: it answers with the request that it got.
func httpbin(namespace, image string) ([]any, error) {
	if err := checkImage(image); err != nil {
		return nil, err
	}
	labels := map[string]string{"app": httpbinName}
	meta := metav1.ObjectMeta{Name: httpbinName, Namespace: namespace, Labels: labels}
	return []any{
		&corev1.ServiceAccount{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
			ObjectMeta: meta,
		},
		&corev1.Service{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
			ObjectMeta: meta,
			Spec: corev1.ServiceSpec{
				Selector: labels,
				Ports: []corev1.ServicePort{{
					// The name tells Istio the protocol.
					Name: "http", Port: httpbinServicePort, TargetPort: intstr.FromInt32(httpbinPort),
				}},
			},
		},
		&appsv1.Deployment{
			TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
			ObjectMeta: meta,
			Spec: appsv1.DeploymentSpec{
				Replicas: new(int32(1)),
				Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType},
				Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{
						"app":     httpbinName,
						"version": "v1",
						// For namespaces without automatic injection of sidecars.
						"sidecar.istio.io/inject": "true",
					}},
					Spec: httpbinPod(image),
				},
			},
		},
	}, nil
}

func httpbinPod(image string) corev1.PodSpec {
	return corev1.PodSpec{
		ServiceAccountName:           httpbinName,
		AutomountServiceAccountToken: new(false),
		Containers: []corev1.Container{{
			Name:            httpbinName,
			Image:           image,
			ImagePullPolicy: corev1.PullIfNotPresent,
			Ports:           []corev1.ContainerPort{{Name: "http", ContainerPort: httpbinPort}},
			ReadinessProbe: &corev1.Probe{
				ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/status/200", Port: intstr.FromString("http")}},
			},
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi"),
			}},
			// The strictest level of Kubernetes' pod security standards.
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false),
				Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				ReadOnlyRootFilesystem:   new(true),
				RunAsNonRoot:             new(true),
				RunAsUser:                new(int64(65532)), // "nonroot" in the image
				SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
		}},
	}
}

func checkImage(image string) error {
	ref, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return fmt.Errorf("image %q is not an image reference; write one such as mccutchen/go-httpbin:v2.26.0 or …@sha256:…", image)
	}
	_, digested := ref.(reference.Digested)
	tagged, hasTag := ref.(reference.Tagged)
	if !digested && (!hasTag || tagged.Tag() == "latest") {
		return fmt.Errorf("image %q is not pinned; add a tag other than latest, or a digest", image)
	}
	return nil
}
