## create

# lets kubectl talk to the cluster
gcloud container clusters get-credentials team --project=my-project --location=us-east5


## sync

# removes what was packed before
rm -rf build/fjdl-mnist

# makes the folder of the container's files
mkdir -p build/fjdl-mnist

# packs the code, HEAD at 0123456789ab
git archive --format=tar --output=build/fjdl-mnist.tar 0123456789abcdef0123456789abcdef01234567

# unpacks it into the folder
tar -xf build/fjdl-mnist.tar -C build/fjdl-mnist


## run

# builds the container and starts the training on every machine
# makes the job fjdl-mnist in team
# undone by: xpk workload delete --workload=fjdl-mnist --cluster=team --project=my-project --zone=us-east5-b --force
# lost with it: what the run has not yet written to its bucket; a minute
xpk workload create --workload=fjdl-mnist --cluster=team --tpu-type=v5p-128 --num-slices=1 \
  --project=my-project --zone=us-east5-b --base-docker-image=us-docker.pkg.dev/my-project/images/jax:2026-11 \
  --script-dir=build/fjdl-mnist --max-restarts=50 --termination-grace-period-seconds=120 \
  '--command=pip install -q -e '"'"'.[tpu]'"'"' && export JAX_PLATFORMS=tpu,cpu && python -m experiments.train configs/mnist_lenet.py --run-dir runs/fjdl-mnist --bucket gs://my-runs/runs/fjdl-mnist'


## logs

# lets kubectl talk to the cluster
gcloud container clusters get-credentials team --project=my-project --location=us-east5

# follows the output of all machines; ctrl-c ends only that
kubectl logs --follow --prefix --all-containers --tail=50 --selector=jobset.sigs.k8s.io/jobset-name=fjdl-mnist \
  --max-log-requests=64


## fetch

# makes the folder of the run
mkdir -p runs/fjdl-mnist

# copies the run from the bucket
gcloud storage rsync --recursive --project=my-project gs://my-runs/runs/fjdl-mnist runs/fjdl-mnist


## delete

# ends the job
# the next command runs even if this one fails, as where there is nothing to delete
xpk workload delete --workload=fjdl-mnist --cluster=team --project=my-project --zone=us-east5-b --force

# lets kubectl talk to the cluster
gcloud container clusters get-credentials team --project=my-project --location=us-east5

# looks whether the job is gone
# must print nothing, otherwise the job is still there and holds its machines
kubectl get jobsets --field-selector=metadata.name=fjdl-mnist --output=name
