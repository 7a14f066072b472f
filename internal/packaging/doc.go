// Package packaging holds the tests of what is shipped: the container image, the compose file and
// the static program in a jail like theirs.
//
// No container engine runs where these tests run. They read the Dockerfile and load the compose file
// as an engine would, and run the program as the image's user on a read-only root; that an engine
// builds the image and starts the services is not shown by them.
package packaging
