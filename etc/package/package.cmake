# What goes where, and two Debian packages of it:  scripts/package
#
#   sealpost      the relay, its unit, manuals, configuration
#   sealpost-mta  the names that other programs call: sendmail, mailq,
#                 newaliases

include(GNUInstallDirs)

install(TARGETS sealpost RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR}
        COMPONENT sealpost)
file(GLOB pages CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/etc/man/*.[158])
foreach(page ${pages})
    string(REGEX REPLACE ".*[.]" "" section ${page})
    install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section}
            COMPONENT sealpost)
endforeach()
# The page of each command is cut out of sealpost(8).
install(CODE "
    execute_process(COMMAND ${CMAKE_SOURCE_DIR}/scripts/man-pages
        ${CMAKE_BINARY_DIR}/sealpost
        \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/man
        COMMAND_ERROR_IS_FATAL ANY)
" COMPONENT sealpost)
set(doc ${CMAKE_INSTALL_DATADIR}/doc/sealpost)
install(FILES etc/sealpost.conf DESTINATION ${doc}/examples COMPONENT sealpost)
file(GLOB papers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/etc/*.md)
install(FILES README.md ${papers} DESTINATION ${doc} COMPONENT sealpost)
foreach(examples container kubernetes helm prometheus grafana)
    if(IS_DIRECTORY ${CMAKE_SOURCE_DIR}/etc/${examples})
        install(DIRECTORY etc/${examples} DESTINATION ${doc}/examples
                COMPONENT sealpost)
    endif()
endforeach()

configure_file(etc/systemd/sealpost.service sealpost.service @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/sealpost.service etc/systemd/sealpost.socket
        DESTINATION lib/systemd/system COMPONENT sealpost)
install(FILES etc/systemd/sealpost.sysusers RENAME sealpost.conf
        DESTINATION lib/sysusers.d COMPONENT sealpost)
install(FILES etc/systemd/sealpost.tmpfiles RENAME sealpost.conf
        DESTINATION lib/tmpfiles.d COMPONENT sealpost)

# Where each shell looks for the words that packages bring.
set(completions ${CMAKE_BINARY_DIR}/completions)
install(CODE "
    file(MAKE_DIRECTORY ${completions})
    foreach(shell bash zsh fish)
        execute_process(COMMAND $<TARGET_FILE:sealpost> completion \${shell}
                        OUTPUT_FILE ${completions}/\${shell}
                        COMMAND_ERROR_IS_FATAL ANY)
    endforeach()
" COMPONENT sealpost)
install(FILES ${completions}/bash RENAME sealpost
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        COMPONENT sealpost)
install(FILES ${completions}/zsh RENAME _sealpost
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions
        COMPONENT sealpost)
install(FILES ${completions}/fish RENAME sealpost.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d
        COMPONENT sealpost)

# The relay reads /etc/sealpost wherever it is installed; only a package may
# put a file there.
option(SEALPOST_PACKAGE "install for a Debian package" OFF)
if(NOT SEALPOST_PACKAGE)
    return()
endif()

# By SOURCE_DATE_EPOCH where it is set.
string(TIMESTAMP changelog_date "%a, %d %b %Y %H:%M:%S +0000" UTC)
configure_file(etc/package/changelog.in changelog @ONLY)
install(FILES etc/sealpost.conf DESTINATION /etc/sealpost COMPONENT sealpost)
install(FILES etc/package/copyright ${CMAKE_BINARY_DIR}/changelog
        DESTINATION ${doc} COMPONENT sealpost)

# What it is made of, where an image that leaves out documents has it, too.
install(CODE "
    execute_process(COMMAND ${CMAKE_SOURCE_DIR}/scripts/sbom
                            $<TARGET_FILE:sealpost> ${PROJECT_VERSION}
                    OUTPUT_FILE ${CMAKE_BINARY_DIR}/sealpost.spdx.json
                    COMMAND_ERROR_IS_FATAL ANY)
" COMPONENT sealpost)
install(FILES ${CMAKE_BINARY_DIR}/sealpost.spdx.json
        DESTINATION ${CMAKE_INSTALL_DATADIR}/sealpost COMPONENT sealpost)
install(CODE "
    set(root \$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX})
    file(CREATE_LINK ../../sealpost/sealpost.spdx.json
         \${root}/share/doc/sealpost/sealpost.spdx.json SYMBOLIC)
" COMPONENT sealpost)

install(CODE "
    set(root \$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX})
    file(GLOB pages \${root}/share/man/man*/*.[158])
    execute_process(COMMAND gzip -9nf \${pages}
                            \${root}/share/doc/sealpost/changelog
                    COMMAND_ERROR_IS_FATAL ANY)
" COMPONENT sealpost)
install(CODE "
    set(root \$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX})
    file(MAKE_DIRECTORY \${root}/bin \${root}/lib \${root}/sbin
         \${root}/share/doc/sealpost-mta)
    file(CREATE_LINK sealpost \${root}/sbin/sendmail SYMBOLIC)
    file(CREATE_LINK ../sbin/sendmail \${root}/lib/sendmail SYMBOLIC)
    file(CREATE_LINK ../sbin/sealpost \${root}/bin/mailq SYMBOLIC)
    file(CREATE_LINK ../sbin/sealpost \${root}/bin/newaliases SYMBOLIC)
    file(MAKE_DIRECTORY \${root}/share/man/man1)
    foreach(name sendmail mailq newaliases)
        file(CREATE_LINK sealpost-send.1.gz
             \${root}/share/man/man1/\${name}.1.gz SYMBOLIC)
    endforeach()
    file(COPY ${CMAKE_SOURCE_DIR}/etc/package/copyright
         ${CMAKE_BINARY_DIR}/changelog
         DESTINATION \${root}/share/doc/sealpost-mta)
    execute_process(COMMAND gzip -9nf \${root}/share/doc/sealpost-mta/changelog
                    COMMAND_ERROR_IS_FATAL ANY)
" COMPONENT mta)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sealpost)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_SET_DESTDIR ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL sealpost mta)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER
    "Sealpost maintainers <maintainers@sealpost.example>")
set(CPACK_DEBIAN_PACKAGE_SECTION mail)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)

set(CPACK_DEBIAN_SEALPOST_PACKAGE_NAME sealpost)
set(CPACK_DEBIAN_SEALPOST_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_SEALPOST_PACKAGE_DEPENDS
    "ca-certificates, dns-root-data, systemd | systemd-standalone-sysusers")
set(CPACK_DEBIAN_SEALPOST_PACKAGE_CONTROL_EXTRA
    "${CMAKE_SOURCE_DIR}/etc/package/conffiles;${CMAKE_SOURCE_DIR}/etc/package/postinst;${CMAKE_SOURCE_DIR}/etc/package/prerm;${CMAKE_SOURCE_DIR}/etc/package/postrm")
set(CPACK_DEBIAN_SEALPOST_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_COMPONENT_SEALPOST_DESCRIPTION
    "outbound SMTP relay with strict transport policy
Takes mail from applications, keeps it safe in SQLite and delivers it only
over connections that the recipient domain's published policy allows:
MTA-STS, DANE, REQUIRETLS and local rules, with reports by TLSRPT.")

set(CPACK_DEBIAN_MTA_PACKAGE_NAME sealpost-mta)
set(CPACK_DEBIAN_MTA_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_MTA_PACKAGE_DEPENDS "sealpost (>= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_MTA_PACKAGE_PROVIDES mail-transport-agent)
set(CPACK_DEBIAN_MTA_PACKAGE_CONFLICTS mail-transport-agent)
set(CPACK_DEBIAN_MTA_PACKAGE_REPLACES mail-transport-agent)
set(CPACK_COMPONENT_MTA_DESCRIPTION
    "sendmail and mailq by the Sealpost relay
Makes the relay this machine's mail-transport-agent: programs that call
sendmail hand their mail to it.")

include(CPack)
