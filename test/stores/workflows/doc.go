// Package workflows runs the workflow files of .github/workflows as they are: a stranger's
// repository releases its filters by the lines of deploy/README.md.
//
// The commands of the steps run in fresh clones, one job after the other, with the
// environment, the secrets and the permissions that the files give to each job. What an
// action of the marketplace does to the files is done here, and an unknown action or
// input fails the run. The registry, the storage, gh, git and Envoy are real. GitHub's API
// and sigstore are servers here, which refuse what the real ones refuse.
package workflows
