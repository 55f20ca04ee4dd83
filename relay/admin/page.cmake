# cmake -DFOLDER=... -DOUT=... -P page.cmake: the files of a folder, and the
# description of the API beside it, as C, for page.h.  Their entity tags are of
# their content.

set(arrays "")
set(rows "")

function(add_file path name type)
    file(READ ${FOLDER}/${name} hex HEX)
    file(SHA256 ${FOLDER}/${name} sum)
    string(SUBSTRING ${sum} 0 16 tag)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "[./]" "_" array "${name}")
    string(APPEND arrays "static const unsigned char ${array}[] = {${bytes}};\n")
    string(APPEND rows "    {\"${path}\", \"${type}; charset=utf-8\", "
           "\"\\\"${tag}\\\"\", {(const char *)${array}, sizeof(${array})}},\n")
    set(arrays "${arrays}" PARENT_SCOPE)
    set(rows "${rows}" PARENT_SCOPE)
endfunction()

add_file(/ index.html text/html)
add_file(/page.css page.css text/css)
add_file(/page.js page.js text/javascript)

set(page_rows "${rows}")
set(rows "")
add_file(/v1/openapi.json ../openapi.json application/json)

file(WRITE ${OUT} "#include \"relay/admin/page.h\"\n\n${arrays}\nconst struct "
     "admin_page_file admin_page_files[ADMIN_PAGE_FILES] = {\n${page_rows}};\n"
     "\nconst struct admin_page_file admin_page_openapi[1] = {\n${rows}};\n")
