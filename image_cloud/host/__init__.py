"""What Ansible calls on a host: put a release and its settings into force."""
