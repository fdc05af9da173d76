"""A real sample corpus for every source, built from package archives and landed as a vendor would land it.

`config/sample.yaml` names the archives (with their licences) and the deliveries; a recipe turns the members
of some archives into the files of one delivery; `land` puts them under `landing/<source>/<delivery>/`.
Everything is deterministic: the same archives give the same bytes. The entry point is `build.build_sample`.
"""
